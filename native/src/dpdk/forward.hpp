#pragma once

#include "jobs/job.hpp"

namespace reframer::dpdk {

// Described in forward.cpp.
void run_forward(const lab::Json &spec);

} // namespace reframer::dpdk
