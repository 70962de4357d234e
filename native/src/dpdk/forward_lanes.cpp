#include "dpdk/forward_lanes.hpp"

#include "dpdk/box_balancer.hpp"
#include "dpdk/counter.hpp"
#include "dpdk/mbuf_stage.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

namespace reframer::dpdk {

namespace {

constexpr uint16_t burst = 64;
// What a NIC may need to send its TX ring, and what a port that sends nothing is given at the end.
constexpr auto settle = std::chrono::milliseconds(20);
constexpr uint64_t send_patience_s = 1;

void warn_of_idle_cores(uint32_t wanted, uint32_t nb_lanes)
{
	warn("--cores " + std::to_string(wanted) + ": " + std::to_string(nb_lanes) +
	     (nb_lanes == 1 ? " receive queue keeps one core busy"
	                    : " receive queues keep as many cores busy") +
	     "; the others are not used. --queues asks for more");
}

} // namespace

ForwardLanes::ForwardLanes(const ForwardParams &p) : params(p) {}

// What throws below ends what was begun: by then a constructor has run, so that the destructor does.
ForwardLanes::ForwardLanes(const ForwardParams &p, const PollerCpus &cpus) : ForwardLanes(p)
{
	const uint16_t in = port_named(params.in), out = port_named(params.out);
	used.push_back(in);
	if (out != in)
		used.push_back(out);
	const bool suite = params.suite.any();
	const bool back = params.both_ways && in != out;
	// In software, buckets may go to cores that have no queue.
	const bool spreads =
		suite && params.suite.balance && params.suite.table == BalanceTable::software;
	const uint32_t nb_queues = params.nb_queues * (back && !suite ? 2 : 1);
	const uint32_t wanted = params.nb_cores ? params.nb_cores : cpus.usual(1);
	cpus.require(wanted);
	nb_pollers = spreads ? wanted : std::min(wanted, nb_queues);
	if (params.balancer && nb_pollers > 1)
		throw lab::JobError("bad-spec",
		                    "a balancer belongs to one core: both directions meet there", 2);
	if (params.balancer && suite)
		throw lab::JobError("bad-spec", "a balancer does not go with --balance, --track or --chain",
		                    2);
	if (params.nb_cores > nb_pollers)
		warn_of_idle_cores(wanted, nb_queues);
	if (params.balancer)
		sender.while_waiting = [balancer = params.balancer] { balancer->obey(); };
	const uint32_t nb_lanes = suite ? nb_pollers : nb_queues;
	start_ports(nb_lanes);
	for (uint32_t c = 0; c < nb_pollers; c++)
		cpus.warn_if_far(c, port_socket(in), port_name(in));
	if (suite) {
		// The other end may have no more queues than it was asked for.
		sender.shares_queues = nb_tx_queues() < nb_lanes;
		for (uint32_t c = 0; c < nb_lanes; c++)
			add_lane(in, out, uint16_t(c % nb_tx_queues()), nb_lanes);
		SuitePorts ports = {};
		ports.in = in;
		ports.out = out;
		ports.both_ways = back;
		ports.nb_queues = params.nb_queues;
		ports.reta_size = granted[0].reta_size;
		ports.driver = granted[0].record["driver"].get<std::string>();
		ports.port_hash =
			symmetric && std::all_of(granted.begin(), granted.end(), [](const PortGrant &g) {
				return g.nic_hash && g.hashes_ports;
			});
		ports.nb_buffers = nb_buffers;
		together = std::make_unique<Suite>(params.suite, ports, sender, clock, all);
	} else {
		for (uint16_t q = 0; q < params.nb_queues; q++)
			add_lane(in, out, q, nb_lanes);
		for (uint16_t q = 0; back && q < params.nb_queues; q++)
			add_lane(out, in, q, nb_lanes);
	}
	for (uint32_t c = 0; c < nb_pollers; c++)
		pollers.push_back(cpus.start(c, "poller-" + std::to_string(c),
		                             [this, c] { together ? run_suite(c) : run(c); }));
	if (together)
		together->start();
}

uint32_t ForwardLanes::nb_tx_queues() const
{
	return params.nb_tx_queues ? params.nb_tx_queues : params.nb_queues;
}

void ForwardLanes::start_ports(uint32_t nb_lanes)
{
	const bool suite = params.suite.any();
	// Rings of both sides, what is held, bursts in hand, and some for caches of cores; with RSS++ the
	// rings between cores, and what waits for its bucket, too.
	const uint32_t rings =
		uint32_t(used.size()) * std::max(params.nb_queues, nb_lanes) * 2 * params.nb_descriptors;
	const uint32_t enough = rings + nb_lanes * (2 * params.reframer.stage.max_packets + 8 * burst) +
	                        (suite ? nb_lanes * 8192 : 0) + 1024;
	nb_buffers = params.nb_buffers ? params.nb_buffers : enough;
	pool = make_port_pool("reframer_box", nb_buffers, 0, used[0], params.port,
	                      "give EAL more by -m, or hold less by --packets");
	PortWish wish = params.port;
	// Both directions of a flow then have one hash, also where the NIC computes it.
	if (suite && wish.rss_key.empty() && std::all_of(used.begin(), used.end(), takes_rss_key))
		wish.rss_key = "symmetric";
	symmetric = wish.rss_key == "symmetric";
	for (const uint16_t port : used) {
		PortUse use;
		use.nb_queues = uint16_t(params.nb_queues);
		use.nb_descriptors = uint16_t(params.nb_descriptors);
		use.nb_tx_queues = uint16_t(suite ? nb_tx_queues() : 0);
		use.wish = wish;
		granted.push_back(start_port(port, use, pool));
	}
}

void ForwardLanes::add_lane(uint16_t from, uint16_t to, uint16_t queue, uint32_t nb_lanes)
{
	auto lane = std::make_unique<Lane>();
	lane->in = from;
	lane->out = to;
	lane->queue = queue;
	// Where the pool is smaller than that, at most half of it is held: the rings shall not starve.
	reframer_dpdk_params held_by = params.reframer;
	held_by.pool = pool;
	held_by.nb_pool_users = nb_lanes;
	if (params.suite.any())
		held_by.hash = REFRAMER_DPDK_HASH_NIC; // each packet has one by then
	if (params.reframe)
		if (const int error = reframer_dpdk_open(from, queue, &held_by, &lane->reframer);
		    error != 0)
			throw lab::JobError(
				"bad-spec",
				std::string("the engine refuses these options: ") + reframer_strerror(error), 2);
	all.push_back(std::move(lane));
}

ForwardLanes::~ForwardLanes()
{
	stop();
	together.reset(); // gives its packets back before the pool goes
	for (auto &lane : all)
		reframer_dpdk_close(lane->reframer);
	for (const uint16_t port : used)
		close_port(port);
	rte_mempool_free(pool);
}

// Where the poll loop finds the packets of a lane, and leaves them.
struct ForwardLanes::Ends {
	using Packet = rte_mbuf;

	uint64_t now() const { return lanes.clock.now(); }
	Received rx(uint32_t most)
	{
		const uint32_t n =
			most ? rte_eth_rx_burst(lane.in, lane.queue, packets, uint16_t(most)) : 0;
		count_arrivals(lane, packets, n);
		return {packets, n};
	}
	static void mark(engine::Step) {}
	static rte_mbuf **dropped() { return nullptr; }
	void tx(rte_mbuf **leaving, uint32_t n, uint32_t)
	{
		if (n > 0)
			lanes.sender.send(lane, lane.out, leaving, n);
	}

	ForwardLanes &lanes;
	Lane &lane;
	rte_mbuf **packets; // room for a burst
};

struct ForwardLanes::Balance {
	uint32_t process(std::span<const reframer_run>, rte_mbuf **packets, uint32_t n, rte_mbuf **)
	{
		return balancer.process(packets, n, lanes.clock.now(),
		                        [this](rte_mbuf **copies, uint32_t nb) {
									lanes.sender.send(lane, lane.out, copies, nb);
								});
	}

	ForwardLanes &lanes;
	Lane &lane;
	BoxBalancer &balancer;
};

void ForwardLanes::serve(Lane &lane)
{
	if (params.balancer == nullptr) {
		engine::PassAll nothing;
		serve(lane, nothing);
		return;
	}
	params.balancer->obey();
	Balance balance{*this, lane, *params.balancer};
	serve(lane, balance);
}

template <typename Function> void ForwardLanes::serve(Lane &lane, Function &function)
{
	rte_mbuf *packets[burst];
	Ends ends{*this, lane, packets};
	MbufStage stage(lane.reframer, burst, true);
	engine::PollLoop loop(ends, stage, function);
	const bool ending = stopping.load(std::memory_order_relaxed);
	const uint64_t began = rte_rdtsc();
	loop.poll(burst, false);
	if (loop.received() == 0 && loop.processed() == 0) {
		std::this_thread::yield(); // others may share this CPU
	} else {
		add(lane.work_polls, 1);
		add(lane.work_cycles, rte_rdtsc() - began);
	}
	if (!ending)
		return;
	// What waited in the ring when the signal came leaves too; what came later was not promised.
	lane.taken_since_stop += loop.received();
	const bool asked = loop.asked() > 0; // else the stage had no room, and the ring may hold more
	if (!asked || (loop.received() > 0 && lane.taken_since_stop < params.nb_descriptors))
		return;
	if (lane.reframer)
		do
			loop.poll(burst, true);
		while (loop.processed() > 0);
	lane.done = true;
}

void ForwardLanes::run(uint32_t core)
{
	for (bool busy = true; busy;) {
		busy = false;
		for (size_t i = core; i < all.size(); i += nb_pollers) {
			if (!all[i]->done)
				serve(*all[i]);
			busy |= !all[i]->done;
		}
	}
}

void ForwardLanes::run_suite(uint32_t c)
{
	SuiteCore &core = together->core(c);
	for (;;) {
		if (!core.poll())
			std::this_thread::yield(); // others may share this CPU
		if (stopping.load(std::memory_order_relaxed) && core.finish(params.nb_descriptors))
			return;
	}
}

void ForwardLanes::stop()
{
	if (pollers.empty())
		return;
	// First: a core that waits for its port holds a bucket's move up, and with it this.
	sender.give_up_at.store(rte_rdtsc() + send_patience_s * rte_get_tsc_hz(),
	                        std::memory_order_relaxed);
	if (together)
		together->stop_balancing();
	stopping.store(true, std::memory_order_relaxed);
	for (Poller &poller : pollers)
		poller.join();
	pollers.clear();
	std::this_thread::sleep_for(settle);
}

} // namespace reframer::dpdk
