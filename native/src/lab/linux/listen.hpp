// Job `linux-listen`; see listen.cpp.
#pragma once

#include "jobs/job.hpp"

namespace reframer::lab {

void run_linux_listen(const Json &spec);

} // namespace reframer::lab
