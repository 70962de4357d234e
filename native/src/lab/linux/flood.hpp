// Job `linux-flood`; see flood.cpp.
#pragma once

#include "jobs/job.hpp"

namespace reframer::lab {

void run_linux_flood(const Json &spec);

} // namespace reframer::lab
