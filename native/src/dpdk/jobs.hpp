// Jobs on DPDK ports, each described in its own file.
#pragma once

#include "jobs/job.hpp"

namespace reframer::dpdk {

void run_balance_dpdk(const lab::Json &spec); // balance.cpp
void run_forward(const lab::Json &spec);      // forward.cpp
void run_trial_job(const lab::Json &spec);    // lab/ports/trial_job.cpp

} // namespace reframer::dpdk
