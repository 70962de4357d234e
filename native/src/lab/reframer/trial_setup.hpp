// What a trial prepares before its engine runs: cores, stage, and the checks and costs of the chain.
#pragma once

#include "datapath/queue.hpp"
#include "lab/reframer/trial_spec.hpp"
#include "lab/stage.hpp"
#include "nf/chain.hpp"

#include <span>

namespace reframer::lab {

using api::Stage;

nf::Config chain_config(const TrialSpec &spec);
// Of a policy that is not off; without rules.
reframer_params stage_params(const TrialSpec &spec);
// Null where the policy is off.
Stage make_stage(const TrialSpec &spec);

// Whether both forms of the chain give the same frames, drops and tables for these packets, grouped
// by RSS hash as the stage would.
bool forms_agree(const nf::ChainFactory &all, std::span<const engine::Arrival> arrivals);

// Cost of a packet whose flow, destination and rule no cache knows: the median over bursts of new
// flows, in small tables.
double worst_packet_ns(const nf::ChainFactory &all, const TrialSpec &spec, double tsc_hz);

} // namespace reframer::lab
