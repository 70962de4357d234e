// Jobs on DPDK ports, each described in its own file.
#pragma once

#include "jobs/job.hpp"

namespace reframer::dpdk {

void run_balance_dpdk(const lab::Json &spec); // balance.cpp
void run_forward(const lab::Json &spec);      // forward.cpp
void run_trial_job(const lab::Json &spec);    // lab/ports/trial_job.cpp
void run_live_trial(const lab::Json &spec);   // lab/ports/live_trial_job.cpp
void run_tester(const lab::Json &spec);       // lab/ports/tester_job.cpp

} // namespace reframer::dpdk
