// A trial over DPDK ports: what is asked, how it runs, what came of it. The JSON forms are described
// in trial_job.cpp.
#pragma once

#include "lab/ports/trial_lane.hpp"
#include "lab/reframer/trial_spec.hpp"
#include "measure/histogram.hpp"
#include "nf/chain.hpp"
#include "nf/context.hpp"
#include "reframer/hold_times.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace reframer::dpdk {

enum class TrialClock : uint8_t {
	tsc,     // real time
	logical, // arrivals by their time stamps, a packet costs serviceNs: nothing depends on the machine
};

struct DpdkTrial {
	lab::TrialSpec trial;
	std::vector<std::string> eal;
	std::string in, out, feed; // EAL's names; feed empty: the port has packets of its own
	TrialClock clock = TrialClock::tsc;
	uint64_t check_packets = 65536;
};

// What a stage has counted, at some time.
struct StageCounts {
	reframer_dpdk_stats stats = {};
	stage::HoldTimes holds;

	void read(reframer_dpdk_queue *queue);
};

struct DpdkOutcome {
	double tsc_hz = 0, wall_seconds = 0;
	std::string in_driver, out_driver, feed_driver;
	uint64_t flows = 0;                              // fed trials
	bool forms_checked = false, forms_agree = false; // likewise
	uint64_t offered = 0;                            // fed, or received where the port feeds itself
	uint64_t foreign = 0;                            // of them, at least so many that nobody fed
	uint64_t lost = 0; // of them, before the loop: full ring, no buffer
	uint64_t held = 0;
	TrialLane::Totals totals;
	bool has_stage = false;
	reframer_dpdk_stats stage = {};
	stage::HoldTimes holds;
	nf::Counters counters;
	uint64_t verdicts[nf::nb_verdicts] = {};

	// The window.
	double window_ns = 0;
	uint64_t departed = 0, departed_bits = 0, polled = 0, processed = 0;
	uint64_t busy_polls = 0, empty_polls = 0;
	LaneCost cost;
	engine::Histogram latency;

	// Of a lane of its own: its window, and all that it did.
	void add(const DpdkOutcome &of_window, const TrialLane::Totals &of_lane,
	         const nf::Chain &chain);
	// Of its stage: runs and holds between `opened` and `closed`, what it took out and has left of all.
	void add_stage(const StageCounts &opened, const StageCounts &closed, const StageCounts &end);

	bool conserved() const
	{
		return offered == lost + totals.sent + totals.unsent + totals.nf_dropped +
		                      stage.stage.packets_thinned + held;
	}
	bool passed() const
	{
		return conserved() && held == 0 && totals.reordered == 0 && (!forms_checked || forms_agree);
	}
};

// Reads a specification; see trial_job.cpp. @throws lab::JobError
DpdkTrial read_dpdk_trial(const lab::Json &json);
lab::Json dpdk_trial_record(const DpdkTrial &spec, const DpdkOutcome &outcome);

// EAL is up. @throws lab::JobError
DpdkOutcome run_dpdk_trial(const DpdkTrial &spec, int feeding_core);

} // namespace reframer::dpdk
