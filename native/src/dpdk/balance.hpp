#pragma once

#include "jobs/job.hpp"

namespace reframer::dpdk {

// Described in balance.cpp.
void run_balance_dpdk(const lab::Json &spec);

} // namespace reframer::dpdk
