// What a trial prepares before its engine runs: cores, stage, and the checks and costs of the chain.
#pragma once

#include "datapath/queue.hpp"
#include "lab/reframer/trial_spec.hpp"
#include "nf/chain.hpp"
#include "reframer/reframer.h"

#include <memory>
#include <span>

namespace reframer::lab {

struct StageDeleter {
	void operator()(reframer_stage *s) const { reframer_free(s); }
};
using Stage = std::unique_ptr<reframer_stage, StageDeleter>;

nf::Config chain_config(const TrialSpec &spec);
// Of a policy that is not off; without rules.
reframer_params stage_params(const TrialSpec &spec);
// Null where the policy is off.
Stage make_stage(const TrialSpec &spec);

// Pins the calling thread; returns the core that stands in for the NIC, -1 where there is none. The
// two are never threads of one core with dma "llc": where there are no others, and "llc" was only the
// default, `spec` then has "dram".
int take_cores(TrialSpec &spec);

// Asks for the highest ordinary priority, so that other programs interrupt fewer polls; without the
// right to it the trial runs as it is. Real-time scheduling would not do: the kernel stops such
// threads for 50 ms of every second that they do not sleep. Returns what is in force.
int raise_priority();

// Whether both forms of the chain give the same frames, drops and tables for these packets, grouped
// by RSS hash as the stage would.
bool forms_agree(const nf::ChainFactory &all, std::span<const engine::Arrival> arrivals);

// Cost of a packet whose flow, destination and rule no cache knows: the median over bursts of new
// flows, in small tables.
double worst_packet_ns(const nf::ChainFactory &all, const TrialSpec &spec, double tsc_hz);

} // namespace reframer::lab
