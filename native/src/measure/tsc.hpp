// The time stamp counter as a stopwatch. It must be invariant (every x86-64 server of the last
// decade): it then counts at a constant rate whatever the core's own clock does.
#pragma once

#include <cstdint>
#include <x86intrin.h>

namespace reframer::engine {

// Nothing after the start is read before it, nothing before the stop after it.
inline uint64_t tsc_start()
{
	_mm_lfence();
	uint64_t t = __rdtsc();
	_mm_lfence();
	return t;
}

inline uint64_t tsc_stop()
{
	unsigned core;
	uint64_t t = __rdtscp(&core);
	_mm_lfence();
	return t;
}

// Ticks a second, against the monotonic clock for 20 ms: good to some parts in 10^5.
double measure_tsc_hz();
// Ticks between two readings with nothing in between.
double measure_tsc_overhead();

} // namespace reframer::engine
