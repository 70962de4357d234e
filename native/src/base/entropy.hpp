// What nobody can foresee: the kernel's random numbers.
#pragma once

#include <cstddef>
#include <cstdint>

#include <ctime>
#include <sys/random.h>

namespace reframer::base {

// False where the kernel has none.
inline bool draw(void *to, size_t bytes)
{
	return getrandom(to, bytes, 0) == static_cast<ssize_t>(bytes);
}

// Never 0. Where the kernel has none, an address and the time are what is left.
inline uint64_t draw_seed()
{
	uint64_t seed = 0;
	if (draw(&seed, sizeof(seed)) && seed != 0)
		return seed;
	timespec now = {};
	clock_gettime(CLOCK_MONOTONIC, &now);
	constexpr uint64_t spread = 0x9e3779b97f4a7c15;
	return ((static_cast<uint64_t>(now.tv_nsec) * spread) ^ reinterpret_cast<uintptr_t>(&seed)) | 1;
}

} // namespace reframer::base
