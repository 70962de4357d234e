#include "measure/cores.hpp"

#include <sched.h>

namespace reframer::engine {

bool pin(pthread_t thread, int core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(static_cast<size_t>(core), &set);
	return pthread_setaffinity_np(thread, sizeof(set), &set) == 0;
}

} // namespace reframer::engine
