// A trial pins the thread that runs it, which here is the test's own.
#pragma once

#include "base/cores.hpp"

namespace reframer::test {

// Back to every core that the system lets this thread use. Returns how many; the last in `last`.
inline int unpin(int &last)
{
	cpu_set_t all;
	CPU_ZERO(&all);
	for (int c = 0; c < CPU_SETSIZE; c++)
		CPU_SET(static_cast<size_t>(c), &all);
	base::set_affinity(pthread_self(), all);
	const std::vector<int> cores = base::allowed_cores();
	last = cores.empty() ? last : cores.back();
	return static_cast<int>(cores.size());
}

} // namespace reframer::test
