#include "lab/ports/live_trial.hpp"

#include "dpdk/clock.hpp"
#include "dpdk/counter.hpp"
#include "lab/reframer/trial_setup.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <thread>

namespace reframer::dpdk {

namespace {

// Packets of a poll that leave the stage where nothing else is said, as in the other engines.
constexpr uint32_t release_room = 256;
// Polls in a row that found nothing before a core believes that its queue is empty, at the end.
constexpr uint32_t empty_polls_at_end = 1000;

std::string driver_of(uint16_t port)
{
	rte_eth_dev_info info;
	return rte_eth_dev_info_get(port, &info) == 0 && info.driver_name ? info.driver_name : "";
}

} // namespace

struct alignas(64) LiveTrial::Lane {
	~Lane() { reframer_dpdk_close(queue); }

	std::unique_ptr<nf::Chain> chain;
	reframer_dpdk_queue *queue = nullptr;
	std::unique_ptr<TrialLane> lane;
	std::atomic<uint64_t> received{0};
	// Of the window; the lane's thread's.
	DpdkOutcome of_window;
	bool in_window = false;
	StageCounts opened, closed;
};

LiveTrial::LiveTrial(const LiveParams &params) : params_(params) {}

// What throws below ends what was begun: by then a constructor has run, so that the destructor does.
LiveTrial::LiveTrial(const LiveParams &params, const PollerCpus &cpus) : LiveTrial(params)
{
	const lab::TrialSpec &t = params_.trial.trial;
	const uint32_t n = params_.nb_queues;
	cpus.require(n);
	in_ = port_named(params_.trial.in);
	out_ = port_named(params_.trial.out);
	const uint32_t ports = in_ == out_ ? 1 : 2;
	const uint32_t buffers =
		n * (ports * 2 * std::max(t.ring_depth, 1024u) + 2 * t.max_held + 1024) + 4096;
	pool_ = make_port_pool("reframer_trial", buffers, view_bytes, in_, params_.port,
	                       "give EAL more by -m, or lower maxHeld");
	PortUse use;
	use.nb_queues = uint16_t(n);
	use.nb_descriptors = uint16_t(t.ring_depth);
	use.wish = params_.port;
	grants_.push_back(start_port(in_, use, pool_));
	if (in_ != out_)
		grants_.push_back(start_port(out_, use, pool_));
	missed_before_ = port_counts(in_).missed;
	factory_ = std::make_unique<nf::ChainFactory>(lab::chain_config(t));
	for (uint32_t q = 0; q < n; q++) {
		auto lane = std::make_unique<Lane>();
		lane->chain = factory_->make(t.form, q);
		lane->chain->add_idle_flows(t.table_flows);
		if (t.policy != lab::HoldPolicy::off) {
			reframer_dpdk_params p;
			reframer_dpdk_default_params(&p);
			p.stage = lab::stage_params(t);
			p.pool = pool_;
			p.nb_pool_users = n;
			p.hash = t.nic_hash ? REFRAMER_DPDK_HASH_AUTO : REFRAMER_DPDK_HASH_SOFTWARE;
			if (const int error = reframer_dpdk_open(in_, uint16_t(q), &p, &lane->queue))
				throw lab::JobError("failed",
				                    std::string("the stage: ") + reframer_strerror(error));
		}
		LaneConfig c = {};
		c.in = in_;
		c.out = out_;
		c.queue = uint16_t(q);
		c.burst = t.burst;
		c.room = std::max(t.release_max ? t.release_max : release_room, t.burst);
		c.holds_back = t.release_max > 0;
		c.check_packets = params_.trial.check_packets;
		c.seed = t.seed;
		c.ns_per_cycle = 1e9 / double(rte_get_tsc_hz());
		lane->lane = std::make_unique<TrialLane>(c, lane->queue, *lane->chain);
		lanes_.push_back(std::move(lane));
	}
	for (uint32_t q = 0; q < n; q++) {
		cpus.warn_if_far(q, port_socket(in_), port_name(in_));
		pollers_.push_back(
			cpus.start(q, "trial-" + std::to_string(q), [this, &lane = *lanes_[q]] { run(lane); }));
	}
}

LiveTrial::~LiveTrial()
{
	stopping_ = true;
	for (Poller &poller : pollers_)
		poller.join();
	lanes_.clear(); // their stages free what they hold
	close_port(in_);
	if (in_ != out_)
		close_port(out_);
	rte_mempool_free(pool_);
}

void LiveTrial::open_window()
{
	opened_at_ = rte_rdtsc();
	in_window_.store(true, std::memory_order_release);
}

void LiveTrial::close_window()
{
	if (!in_window_.exchange(false, std::memory_order_acq_rel))
		return;
	closed_at_ = rte_rdtsc();
}

uint64_t LiveTrial::received() const
{
	uint64_t sum = 0;
	for (const auto &lane : lanes_)
		sum += lane->received.load(std::memory_order_relaxed);
	return sum;
}

void LiveTrial::run(Lane &lane)
{
	const TscClock clock;
	const uint32_t burst = params_.trial.trial.burst;
	DpdkOutcome &w = lane.of_window;
	const auto poll = [&](bool draining) {
		const uint64_t at = clock.now();
		lane.lane->poll(at, draining ? 0 : burst, draining);
		const bool busy = lane.lane->received() || lane.lane->processed();
		if (lane.lane->received())
			add(lane.received, lane.lane->received());
		if (const bool inside = in_window_.load(std::memory_order_relaxed);
		    inside != lane.in_window) [[unlikely]] {
			lane.in_window = inside;
			if (lane.queue)
				(inside ? lane.opened : lane.closed).read(lane.queue);
		}
		if (!lane.in_window)
			return busy;
		w.polled += lane.lane->received();
		w.processed += lane.lane->processed();
		(busy ? w.busy_polls : w.empty_polls)++;
		if (busy)
			w.cost += lane.lane->cost();
		const auto end = uint32_t(clock.now());
		for (const TrialLane::Departure &d : lane.lane->departed()) {
			w.departed++;
			w.departed_bits += uint64_t{d.wire} * 8;
			w.latency.add(uint32_t(end - d.since_ns));
		}
		return busy;
	};
	while (!stopping_.load(std::memory_order_relaxed))
		if (!poll(false))
			std::this_thread::yield(); // there may be fewer CPUs than threads
	// What waited in the ring leaves too; a port that goes on for ever is not waited for.
	uint64_t taken = 0;
	for (uint32_t empty = 0;
	     empty < empty_polls_at_end && taken < params_.trial.trial.ring_depth;) {
		// A stage without room does not ask, and its ring may hold more.
		empty = poll(false) ? 0 : empty + (lane.lane->asked() > 0);
		taken += lane.lane->received();
	}
	const auto holds = [&] {
		reframer_dpdk_stats stats = {};
		if (lane.queue)
			reframer_dpdk_get_stats(lane.queue, &stats);
		return stats.stage.packets_held > 0;
	};
	while (holds())
		poll(true);
}

DpdkOutcome LiveTrial::stop()
{
	close_window();
	stopping_.store(true, std::memory_order_relaxed);
	for (Poller &poller : pollers_)
		poller.join();
	pollers_.clear();
	DpdkOutcome all;
	all.tsc_hz = double(rte_get_tsc_hz());
	all.in_driver = driver_of(in_);
	all.out_driver = driver_of(out_);
	all.lost = port_counts(in_).missed - missed_before_;
	all.window_ns = double(closed_at_ - opened_at_) * 1e9 / all.tsc_hz;
	all.wall_seconds = all.window_ns * 1e-9;
	for (const auto &lane : lanes_) {
		all.add(lane->of_window, lane->lane->totals(), *lane->chain);
		if (!lane->queue)
			continue;
		StageCounts end;
		end.read(lane->queue);
		all.add_stage(lane->opened, lane->closed, end);
	}
	all.offered = all.totals.received + all.lost;
	return all;
}

} // namespace reframer::dpdk
