// Random numbers and fixed-point functions that give the same bits on every machine: integers only,
// since floating point differs with contraction into FMA and with the C library's log and exp.
#pragma once

#include "base/random.hpp"

#include <bit>
#include <cstdint>

namespace reframer::traffic {

using base::mix64;
using base::Random;

// log2(x) in units of 2^-24; x > 0.
inline int64_t log2_q24(uint64_t x)
{
	const int whole = 63 - std::countl_zero(x);
	uint64_t m = whole > 31 ? x >> (whole - 31) : x << (31 - whole); // 1.0 is 2^31
	int64_t result = static_cast<int64_t>(whole) << 24;
	for (int bit = 23; bit >= 0; bit--) {
		m = (m * m) >> 31;
		if (m >> 32) {
			m >>= 1;
			result |= int64_t{1} << bit;
		}
	}
	return result;
}

// 2^(x * 2^-24), rounded down; 0 for negative x, at most 2^62.
inline uint64_t exp2_q24(int64_t x)
{
	if (x < 0)
		return 0;
	// 2^(2^-k) for k = 1..24 in units of 2^-32.
	static constexpr uint64_t root[24] = {
		0x16a09e667, 0x1306fe0a3, 0x1172b83c7, 0x10b5586cf, 0x1059b0d31, 0x102c9a3e7,
		0x10163da9f, 0x100b1afa5, 0x10058c86d, 0x1002c605e, 0x100162f39, 0x1000b175e,
		0x100058ba0, 0x10002c5cc, 0x1000162e5, 0x10000b172, 0x1000058b9, 0x100002c5c,
		0x10000162e, 0x100000b17, 0x10000058b, 0x1000002c5, 0x100000162, 0x1000000b1};
	const int64_t whole = x >> 24;
	if (whole >= 62)
		return uint64_t{1} << 62;
	uint64_t m = uint64_t{1} << 30; // 1.0; below 2, so that a product stays below 2^64
	for (int k = 0; k < 24; k++)
		if (x & (int64_t{1} << (23 - k)))
			m = (m * root[k]) >> 32;
	return whole >= 30 ? m << (whole - 30) : m >> (30 - whole);
}

// -ln(u / 2^32) in units of 2^-24, for a draw u: exponentially distributed with mean 2^24.
inline uint64_t exponential_q24(uint32_t u)
{
	const int64_t minus_log2 = (int64_t{32} << 24) - log2_q24(uint64_t{u} + (u == 0));
	return (static_cast<uint64_t>(minus_log2) * 0xb17217f8ull) >> 32; // times ln 2
}

} // namespace reframer::traffic
