#include "lab/ports/trial_run.hpp"

#include "base/cores.hpp"
#include "dpdk/clock.hpp"
#include "dpdk/ports.hpp"
#include "lab/reframer/trial_setup.hpp"
#include "lab/reframer/trial_source.hpp"
#include "measure/virtual_clock.hpp"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <thread>

namespace reframer::dpdk {

namespace {

// A port that feeds itself may be at its end, as a capture is: then the trial is over.
constexpr uint64_t silence_ns = 200'000'000;
// Frames of a fed trial are all in memory before it begins.
constexpr size_t arena_most = 512u << 20;
// Packets of a poll that leave the stage where nothing else is said, as in the other engines.
constexpr uint32_t release_room = 256;

// The other end of the trial's port: sends packets into it, as the wire would. Over net_ring it is the
// port itself that is sent to, over af_packet and af_xdp the other end of a veth pair. What the port or
// the pool refuses is lost, as in a full ring.
constexpr uint32_t feed_most = 32;
uint32_t feed(uint16_t port, rte_mempool *pool, const engine::Arrival *arrivals, uint32_t nb)
{
	rte_mbuf *packets[feed_most];
	if (rte_pktmbuf_alloc_bulk(pool, packets, nb) != 0)
		return 0;
	for (uint32_t i = 0; i < nb; i++) {
		const engine::Arrival &a = arrivals[i];
		std::memcpy(rte_pktmbuf_mtod(packets[i], void *), a.data, a.captured);
		packets[i]->data_len = static_cast<uint16_t>(a.captured);
		packets[i]->pkt_len = a.captured;
		packets[i]->hash.rss = a.rss;
		packets[i]->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
		arrival_of(packets[i]) = a.time_ns;
	}
	const uint32_t sent = rte_eth_tx_burst(port, 0, packets, static_cast<uint16_t>(nb));
	rte_pktmbuf_free_bulk(packets + sent, nb - sent);
	return sent;
}

struct QueueCloser {
	void operator()(reframer_dpdk_queue *q) const { reframer_dpdk_close(q); }
};
struct PoolFreer {
	void operator()(rte_mempool *pool) const { rte_mempool_free(pool); }
};

// The ports of a trial, each once, closed at the end.
struct Ports {
	Ports() = default;
	// One that does not start has those before it closed: by then a constructor has run.
	Ports(const DpdkTrial &spec, rte_mempool *pool) : Ports()
	{
		in = port_named(spec.in);
		out = port_named(spec.out);
		add(in, spec, pool);
		add(out, spec, pool);
		if (!spec.feed.empty()) {
			feed = port_named(spec.feed);
			add(feed, spec, pool);
		}
	}
	~Ports() { std::for_each(open.begin(), open.end(), close_port); }
	Ports(const Ports &) = delete;
	Ports &operator=(const Ports &) = delete;
	void add(uint16_t port, const DpdkTrial &spec, rte_mempool *pool)
	{
		if (std::find(open.begin(), open.end(), port) != open.end())
			return;
		grants.push_back(start_port(port, {1, static_cast<uint16_t>(spec.trial.ring_depth)}, pool));
		open.push_back(port);
	}
	uint16_t in = 0, out = 0, feed = 0;
	std::vector<uint16_t> open;
	std::vector<PortGrant> grants;
};

std::string driver_of(uint16_t port)
{
	rte_eth_dev_info info;
	return rte_eth_dev_info_get(port, &info) == 0 && info.driver_name ? info.driver_name : "";
}

class Run {
public:
	Run(const DpdkTrial &spec, int feeding_core)
		: spec_(spec), trial_(spec.trial), feeding_core_(feeding_core),
		  window_start_(trial_.learn_ns + trial_.warmup_ns),
		  end_(window_start_ + trial_.duration_ns), pool_(make_pool()), ports_(spec, pool_.get()),
		  factory_(lab::chain_config(trial_)), chain_(factory_.make(trial_.form, 0))
	{
		chain_->add_idle_flows(trial_.table_flows);
		if (spec.clock == TrialClock::logical || !spec.feed.empty())
			prepare_arrivals();
		if (trial_.policy != lab::HoldPolicy::off)
			open_queue();
		LaneConfig lane = {};
		lane.in = ports_.in;
		lane.out = ports_.out;
		// Over a ring the buffer itself comes, with what the feeder wrote into it.
		lane.arrival_known = !spec.feed.empty() && driver_of(ports_.in) == "net_ring" &&
		                     spec.clock == TrialClock::tsc;
		lane.burst = trial_.burst;
		lane.room = std::max(trial_.release_max ? trial_.release_max : release_room, trial_.burst);
		lane.holds_back = trial_.release_max > 0;
		lane.check_packets = spec.check_packets;
		lane.seed = trial_.seed;
		lane.ns_per_cycle = 1e9 / static_cast<double>(rte_get_tsc_hz());
		lane_ = std::make_unique<TrialLane>(lane, queue_.get(), *chain_);
		out_.window_ns = static_cast<double>(trial_.duration_ns);
	}

	DpdkOutcome finish()
	{
		const uint64_t missed = port_counts(ports_.in).missed;
		const auto wall = std::chrono::steady_clock::now();
		if (spec_.clock == TrialClock::logical)
			run_logical();
		else
			run_real();
		out_.wall_seconds =
			std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
		out_.tsc_hz = static_cast<double>(rte_get_tsc_hz());
		out_.in_driver = driver_of(ports_.in);
		out_.out_driver = driver_of(ports_.out);
		if (!spec_.feed.empty())
			out_.feed_driver = driver_of(ports_.feed);
		out_.totals = lane_->totals();
		if (spec_.feed.empty()) // what the port itself lost is known to nobody but it
			out_.offered =
				out_.totals.received + (out_.lost = port_counts(ports_.in).missed - missed);
		if (queue_) {
			out_.has_stage = true;
			reframer_dpdk_get_stats(queue_.get(), &out_.stage);
			out_.holds.add(reframer_dpdk_stage(queue_.get()));
			out_.held = out_.stage.stage.packets_held;
		}
		out_.counters = chain_->counters();
		for (uint8_t v = 0; v < nf::nb_verdicts; v++)
			out_.verdicts[v] = chain_->verdicts(v);
		return std::move(out_);
	}

private:
	// Rings of all ports, what is held, bursts in hand, and caches of cores.
	rte_mempool *make_pool() const
	{
		const uint32_t buffers =
			6 * std::max(trial_.ring_depth, 1024u) + 2 * trial_.max_held + 4096;
		rte_mempool *pool = rte_pktmbuf_pool_create("reframer_trial", buffers, 250, view_bytes,
		                                            RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
		if (pool == nullptr)
			throw port_failure(
				"no memory for " + std::to_string(buffers) +
					" packet buffers of 2 KiB; give EAL more by -m, or lower maxHeld",
				rte_errno);
		return pool;
	}

	void open_queue()
	{
		reframer_dpdk_params params;
		reframer_dpdk_default_params(&params);
		params.stage = lab::stage_params(trial_);
		params.pool = pool_.get();
		params.hash = !trial_.nic_hash     ? REFRAMER_DPDK_HASH_SOFTWARE
		              : spec_.feed.empty() ? REFRAMER_DPDK_HASH_AUTO
		                                   : REFRAMER_DPDK_HASH_NIC; // the feeder gives it
		reframer_dpdk_queue *queue = nullptr;
		if (const int error = reframer_dpdk_open(ports_.in, 0, &params, &queue))
			throw lab::JobError("failed", std::string("the stage: ") + reframer_strerror(error));
		queue_.reset(queue);
	}

	// Those of the first queue: the trial is of one core.
	void prepare_arrivals()
	{
		const size_t bytes = lab::arena_estimate(trial_);
		if (bytes > arena_most)
			throw lab::JobError(
				"bad-spec",
				"the frames of this trial do not fit into 512 MiB; shorten durationNs and warmupNs",
				2);
		arena_ = std::make_unique<lab::Arena>(bytes);
		auto source = lab::open_trial_source(trial_);
		if (trial_.learn_ns)
			source->learn(trial_.learn_ns - 1,
			              [&](uint32_t queue, const uint8_t *frame, uint32_t captured) {
							  if (queue == 0)
								  chain_->learn(frame, captured);
						  });
		std::vector<std::vector<engine::Arrival>> all(trial_.queues);
		if (source->fill(end_ - 1, *arena_, all) < end_ - 1)
			throw lab::JobError(
				"failed", "the frames of this trial are more than estimated; shorten durationNs");
		arrivals_ = std::move(all[0]);
		out_.flows = source->flows();
		if (trial_.chain != nf::ChainKind::forward) {
			out_.forms_checked = true;
			out_.forms_agree = lab::forms_agree(factory_, arrivals_);
		}
	}

	// `at`: when the poll began; `clock`: when it ended.
	void book(double at, double clock)
	{
		const auto in_window = [&](double t) {
			return t >= static_cast<double>(window_start_) && t < static_cast<double>(end_);
		};
		if (in_window(at)) {
			out_.polled += lane_->received();
			out_.processed += lane_->processed();
			const bool busy = lane_->received() || lane_->processed();
			(busy ? out_.busy_polls : out_.empty_polls)++;
			if (busy)
				out_.cost += lane_->cost();
		}
		if (!in_window(clock))
			return;
		for (const TrialLane::Departure &d : lane_->departed()) {
			out_.departed++;
			out_.departed_bits += uint64_t{d.wire} * 8;
			const double since =
				admitted_.empty()
					? static_cast<uint32_t>(static_cast<uint32_t>(static_cast<uint64_t>(clock)) -
			                                d.since_ns)
					: clock - static_cast<double>(arrivals_[admitted_[d.number]].time_ns);
			out_.latency.add(static_cast<uint64_t>(std::max(0.0, since)));
		}
	}

	bool holds()
	{
		reframer_dpdk_stats stats = {};
		if (queue_)
			reframer_dpdk_get_stats(queue_.get(), &stats);
		return stats.stage.packets_held > 0;
	}

	// As engine::VirtualQueue does with a fixed service time, poll by poll: the ring there is the port
	// here.
	void run_logical()
	{
		engine::VirtualClock clock(static_cast<double>(trial_.learn_ns));
		size_t next = 0;
		uint64_t taken = 0;
		bool held_back = false;
		const auto waiting = [&] { return admitted_.size() - taken; };
		const auto poll = [&](bool draining) {
			const auto most =
				draining ? 0 : static_cast<uint32_t>(std::min<uint64_t>(waiting(), trial_.burst));
			lane_->poll(static_cast<uint64_t>(clock), most, draining);
			if (lane_->received() != lane_->asked())
				throw lab::JobError("failed",
				                    spec_.in + " gave " + std::to_string(lane_->received()) +
				                        " packets where " + std::to_string(lane_->asked()) +
				                        " have arrived; is its capture that of the source?");
			taken += lane_->asked();
			held_back = lane_->received() == 0 && lane_->processed() == 0;
			const double begin = clock;
			clock.spend(static_cast<double>(trial_.service_ns) * lane_->processed());
			book(begin, clock);
		};
		while (true) {
			for (; next < arrivals_.size() && static_cast<double>(arrivals_[next].time_ns) <= clock;
			     next++)
				admit(next, waiting());
			if (clock > static_cast<double>(end_ - 1))
				break;
			if (waiting() == 0 || held_back) {
				held_back = false;
				double then = next < arrivals_.size() ? static_cast<double>(arrivals_[next].time_ns)
				                                      : HUGE_VAL;
				if (queue_)
					if (const uint64_t due =
					        reframer_next_deadline(reframer_dpdk_stage(queue_.get()));
					    due != UINT64_MAX)
						then = std::min(then, static_cast<double>(due));
				if (then > static_cast<double>(end_ - 1))
					break;
				if (then > clock) {
					clock.wait_until(then);
					continue;
				}
			}
			poll(false);
		}
		while (waiting() > 0) {
			poll(false);
			if (held_back)
				poll(true);
		}
		while (holds())
			poll(true);
		out_.offered = next;
	}

	void admit(size_t arrival, uint64_t waiting)
	{
		if (waiting == trial_.ring_depth) {
			if (spec_.feed.empty())
				throw lab::JobError(
					"bad-spec",
					"a ring of " + std::to_string(trial_.ring_depth) + " overflows, and " +
						spec_.in + " cannot be told to drop; offer less, or deepen it by ringDepth",
					2);
			out_.lost++;
			return;
		}
		if (!spec_.feed.empty() && feed(ports_.feed, pool_.get(), &arrivals_[arrival], 1) != 1)
			throw lab::JobError(
				"failed",
				spec_.feed + " takes no more packets; its own ring is shallower than ringDepth");
		admitted_.push_back(static_cast<uint32_t>(arrival));
	}

	void run_real()
	{
		const TscClock tsc;
		const auto now = [&] { return trial_.learn_ns + tsc.now(); };
		std::atomic<bool> feeding{!spec_.feed.empty()};
		std::thread feeder;
		if (feeding)
			feeder = std::thread([&] {
				base::pin(pthread_self(), feeding_core_);
				rte_thread_register(); // for its cache of buffers
				feed_all(now);
				rte_thread_unregister();
				feeding = false;
			});
		uint64_t at = now(), heard = at;
		// The feeder ends by itself; a port that feeds itself at the end of the window or of its packets.
		while (spec_.feed.empty() ? at < end_ && at - heard < silence_ns : at < end_ || feeding) {
			lane_->poll(at, trial_.burst, false);
			const uint64_t end = now();
			book(static_cast<double>(at), static_cast<double>(end));
			if (lane_->received())
				heard = end;
			at = end;
		}
		if (spec_.feed.empty())
			out_.window_ns =
				std::min(out_.window_ns, std::max(0.0, static_cast<double>(heard) -
			                                               static_cast<double>(window_start_)));
		else
			feeder.join();
		// What a fed port still has leaves too: all that it took, or what comes within the patience.
		const uint64_t patient_until = at + silence_ns;
		while (!spec_.feed.empty() && lane_->totals().received < fed_ && at < patient_until) {
			lane_->poll(at, trial_.burst, false);
			at = now();
		}
		while (holds())
			lane_->poll(now(), 0, true);
		if (!spec_.feed.empty()) {
			// Over a veth pair the kernel may speak, too; what it said hides as many lost packets.
			const uint64_t fed = arrivals_.size(), received = lane_->totals().received;
			out_.offered = std::max(fed, received);
			out_.foreign = out_.offered - fed;
			out_.lost = out_.offered - received;
		}
	}

	template <typename Now> void feed_all(const Now &now)
	{
		for (size_t next = 0; next < arrivals_.size();) {
			const uint64_t time = now();
			uint32_t due = 0;
			while (due < feed_most && next + due < arrivals_.size() &&
			       arrivals_[next + due].time_ns <= time)
				due++;
			if (due)
				fed_ += feed(ports_.feed, pool_.get(), &arrivals_[next], due);
			next += due;
		}
	}

	const DpdkTrial &spec_;
	const lab::TrialSpec &trial_;
	const int feeding_core_;
	const uint64_t window_start_, end_;
	std::unique_ptr<rte_mempool, PoolFreer> pool_;
	Ports ports_;
	nf::ChainFactory factory_;
	std::unique_ptr<nf::Chain> chain_;
	std::unique_ptr<lab::Arena> arena_;
	std::vector<engine::Arrival> arrivals_;
	std::vector<uint32_t> admitted_; // logical clock: which arrival each received packet is
	std::unique_ptr<reframer_dpdk_queue, QueueCloser> queue_;
	std::unique_ptr<TrialLane> lane_;
	uint64_t fed_ = 0; // packets that the feeding port took; the feeder's until it has ended
	DpdkOutcome out_;
};

} // namespace

DpdkOutcome run_dpdk_trial(const DpdkTrial &spec, int feeding_core)
{
	return Run(spec, feeding_core).finish();
}

} // namespace reframer::dpdk
