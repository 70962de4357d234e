// A trial pins the thread that runs it, which here is the test's own.
#pragma once

#include <sched.h>

namespace reframer::test {

// Back to every core that the system lets this thread use. Returns how many; the last in `last`.
inline int unpin(int &last)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	for (int c = 0; c < CPU_SETSIZE; c++)
		CPU_SET(static_cast<size_t>(c), &set);
	sched_setaffinity(0, sizeof(set), &set);
	sched_getaffinity(0, sizeof(set), &set);
	for (int c = 0; c < CPU_SETSIZE; c++)
		if (CPU_ISSET(static_cast<size_t>(c), &set))
			last = c;
	return CPU_COUNT(&set);
}

} // namespace reframer::test
