// Job `linux-busy`; see busy.cpp.
#pragma once

#include "jobs/job.hpp"

namespace reframer::lab {

void run_linux_busy(const Json &spec);

} // namespace reframer::lab
