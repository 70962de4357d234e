// Job `balance-cpumap`; see balance_cpumap.cpp.
#pragma once

#include "jobs/job.hpp"

namespace reframer::lab {

void run_balance_cpumap(const Json &spec);

} // namespace reframer::lab
