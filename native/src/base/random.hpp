// Random numbers that are the same everywhere: SplitMix64 (Steele, Lea, Flood, OOPSLA'14). Eight
// bytes of state, so whoever wants a stream of its own has one.
#pragma once

#include <cstdint>

namespace reframer::base {

constexpr uint64_t mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

struct Random {
	uint64_t state;

	uint64_t next() { return mix64(state += 0x9e3779b97f4a7c15ull); }
	uint32_t next32() { return static_cast<uint32_t>(next() >> 32); }
	// 0..bound-1
	uint32_t below(uint32_t bound)
	{
		return static_cast<uint32_t>((static_cast<uint64_t>(next32()) * bound) >> 32);
	}
	bool one_in(uint32_t n) { return below(n) == 0; }
	// 0 up to 1, of 53 bits.
	double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
};

} // namespace reframer::base
