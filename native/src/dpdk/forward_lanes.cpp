#include "dpdk/forward_lanes.hpp"

#include "dpdk/box_balancer.hpp"
#include "dpdk/counter.hpp"
#include "dpdk/mbuf_stage.hpp"
#include "dpdk/ports.hpp"

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace reframer::dpdk {

namespace {

constexpr uint16_t burst = 64;
// What a NIC may need to send its TX ring, and what a port that sends nothing is given at the end.
constexpr auto settle = std::chrono::milliseconds(20);
constexpr uint64_t send_patience_s = 1;

} // namespace

ForwardLanes::ForwardLanes(const ForwardParams &p, const PollerCpus &cpus) : params(p)
{
	const uint16_t in = port_named(params.in), out = port_named(params.out);
	used.push_back(in);
	if (out != in)
		used.push_back(out);
	const uint32_t nb_lanes = params.nb_queues * (params.both_ways && in != out ? 2 : 1);
	const uint32_t wanted = params.nb_cores ? params.nb_cores : cpus.usual(1);
	cpus.require(wanted);
	nb_pollers = std::min(wanted, nb_lanes);
	if (params.balancer && nb_pollers > 1)
		throw lab::JobError("bad-spec",
		                    "a balancer belongs to one core: both directions meet there", 2);
	if (params.nb_cores > nb_lanes)
		warn("--cores " + std::to_string(wanted) + ": " + std::to_string(nb_lanes) +
		     (nb_lanes == 1 ? " receive queue keeps one core busy"
		                    : " receive queues keep as many cores busy") +
		     "; the others are not used. --queues asks for more");
	// Rings of both sides, what is held, bursts in hand, and some for caches of cores.
	const uint32_t enough = uint32_t(used.size()) * params.nb_queues * 2 * params.nb_descriptors +
	                        nb_lanes * (2 * params.reframer.stage.max_packets + 8 * burst) + 1024;
	const uint32_t buffers = params.nb_buffers ? params.nb_buffers : enough;
	// A core's cache must leave most of the pool to the others.
	for (const int socket :
	     {rte_eth_dev_socket_id(in), SOCKET_ID_ANY}) // near the port where there is room
		if (pool == nullptr)
			pool = rte_pktmbuf_pool_create("reframer_box", buffers, std::min(250u, buffers / 4), 0,
			                               RTE_MBUF_DEFAULT_BUF_SIZE, socket);
	if (pool == nullptr)
		throw port_failure(
			"no memory for " + std::to_string(buffers) +
				" packet buffers of 2 KiB; give EAL more by -m, or hold less by --packets",
			rte_errno);
	for (const uint16_t port : used)
		start_port(port, {uint16_t(params.nb_queues), uint16_t(params.nb_descriptors)}, pool);
	// Where the pool is smaller than that, at most half of it is held: the rings shall not starve.
	reframer_dpdk_params held_by = params.reframer;
	held_by.pool = pool;
	held_by.nb_pool_users = nb_lanes;
	const auto add_lanes = [&](uint16_t from, uint16_t to) {
		for (uint16_t q = 0; q < params.nb_queues; q++) {
			auto lane = std::make_unique<Lane>();
			lane->in = from;
			lane->out = to;
			lane->queue = q;
			if (params.reframe)
				if (const int error = reframer_dpdk_open(from, q, &held_by, &lane->reframer);
				    error != 0)
					throw lab::JobError("bad-spec",
					                    std::string("the engine refuses these options: ") +
					                        reframer_strerror(error),
					                    2);
			all.push_back(std::move(lane));
		}
	};
	add_lanes(in, out);
	if (params.both_ways && in != out)
		add_lanes(out, in);
	for (uint32_t c = 0; c < nb_pollers; c++)
		threads.push_back(
			cpus.start(c, ("poller-" + std::to_string(c)).c_str(), [this, c] { run(c); }));
}

ForwardLanes::~ForwardLanes()
{
	stop();
	for (auto &lane : all)
		reframer_dpdk_close(lane->reframer);
	for (const uint16_t port : used)
		close_port(port);
	rte_mempool_free(pool);
}

void ForwardLanes::send(Lane &lane, rte_mbuf **packets, uint32_t nb)
{
	uint32_t done = 0;
	uint64_t bytes = 0; // before they are sent: afterwards the packets are the driver's
	for (uint32_t i = 0; i < nb; i++)
		bytes += packets[i]->pkt_len;
	while (done < nb) {
		const uint16_t n =
			rte_eth_tx_burst(lane.out, lane.queue, packets + done, uint16_t(nb - done));
		done += n;
		if (n > 0)
			continue;
		add(lane.waits, 1);
		if (rte_rdtsc() > give_up_at.load(std::memory_order_relaxed)) {
			for (uint32_t i = done; i < nb; i++)
				bytes -= packets[i]->pkt_len;
			rte_pktmbuf_free_bulk(packets + done, nb - done);
			add(lane.unsent, nb - done);
			break;
		}
		std::this_thread::yield();
	}
	add(lane.sent, done);
	add(lane.bytes_sent, bytes);
}

void ForwardLanes::count_arrivals(Lane &lane, rte_mbuf *const *packets, uint32_t nb)
{
	uint64_t bytes = 0;
	uint32_t oversized = 0;
	for (uint32_t i = 0; i < nb; i++) {
		bytes += packets[i]->pkt_len;
		oversized += packets[i]->pkt_len > longest_frame;
	}
	add(lane.received, nb);
	add(lane.bytes_received, bytes);
	if (oversized) [[unlikely]]
		add(lane.oversized, oversized);
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
			lanes.send(lane, leaving, n);
	}

	ForwardLanes &lanes;
	Lane &lane;
	rte_mbuf **packets; // room for a burst
};

struct ForwardLanes::Balance {
	uint32_t process(std::span<const reframer_run>, rte_mbuf **packets, uint32_t n, rte_mbuf **)
	{
		return balancer.process(
			packets, n, lanes.clock.now(),
			[this](rte_mbuf **copies, uint32_t nb) { lanes.send(lane, copies, nb); });
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
	// An lcore number gives this thread its cache of packet buffers. Without one it works too.
	rte_thread_register();
	for (bool busy = true; busy;) {
		busy = false;
		for (size_t i = core; i < all.size(); i += nb_pollers) {
			if (!all[i]->done)
				serve(*all[i]);
			busy |= !all[i]->done;
		}
	}
	rte_thread_unregister();
}

void ForwardLanes::stop()
{
	if (threads.empty())
		return;
	give_up_at.store(rte_rdtsc() + send_patience_s * rte_get_tsc_hz(), std::memory_order_relaxed);
	stopping.store(true, std::memory_order_relaxed);
	for (std::thread &thread : threads)
		thread.join();
	threads.clear();
	std::this_thread::sleep_for(settle);
}

} // namespace reframer::dpdk
