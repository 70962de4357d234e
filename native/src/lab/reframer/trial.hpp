// A trial from specification to record.
#pragma once

#include "datapath/queue.hpp"
#include "lab/reframer/trial_spec.hpp"
#include "nf/chain.hpp"
#include "reframer/hold_times.hpp"

#include <vector>

namespace reframer::lab {

struct TrialOutcome {
	double tsc_hz = 0, tsc_overhead_ns = 0, wall_seconds = 0;
	double worst_packet_ns = 0;
	double saturated_bps = 0; // with offeredShare; else 0
	Json saturation_void;     // why that must not be used; else null
	bool dma_on_core = false, huge_pages = false;
	int nice = 0;
	uint64_t flows = 0, answer = 0;
	bool forms_checked = false, forms_agree = false;
	bool tables_sound = true;

	struct Measured {
		engine::QueueResult result;
		double empty_poll_ns; // virtual clock only
	};
	struct Queue : Measured {
		nf::Counters counters;
		uint64_t verdicts[nf::nb_verdicts];
		bool has_stage;
		reframer_stats stage;
		stage::HoldTimes holds;
	};
	std::vector<Queue> queues;
	std::vector<Queue> front; // cores in front; `queues` then begin behind them

	bool conserved() const;
	bool ordered() const;
	bool passed() const
	{
		return conserved() && ordered() && tables_sound && (!forms_checked || forms_agree);
	}
};

// `spec` gets what was left to the machine: the place that frames are written
// to, and offered_bps where a share of saturation was asked for.
TrialOutcome run_trial_spec(TrialSpec &spec);
// Adds a drained queue's results to `list`, one of the outcome's.
void collect(TrialOutcome &outcome, std::vector<TrialOutcome::Queue> &list,
             const TrialOutcome::Measured &measured, const nf::Chain &chain,
             const reframer_stage *stage);
Json report(const TrialSpec &spec, const TrialOutcome &outcome);

} // namespace reframer::lab
