#pragma once

#include "jobs/job.hpp"

namespace reframer::dpdk {

// Described in trial_job.cpp.
void run_trial_job(const lab::Json &spec);

} // namespace reframer::dpdk
