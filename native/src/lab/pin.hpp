#pragma once

#include "base/cores.hpp"
#include "jobs/job.hpp"

#include <string>

namespace reframer::lab {

// The calling thread, for the rest of the job.
inline void pin_job(int core)
{
	if (!base::pin(pthread_self(), core))
		throw JobError("not-supported", "cannot run on core " + std::to_string(core), 3);
}

} // namespace reframer::lab
