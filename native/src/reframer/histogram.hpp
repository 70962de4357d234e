// Hold times in buckets of at most 1/16 of their value: exact below 16 ns, then 16 an octave.
#pragma once

#include "reframer/reframer.h"

#include <bit>
#include <cstdint>

namespace reframer::stage {

inline constexpr uint32_t histogram_sub_bits = 4;

constexpr uint32_t histogram_bucket(uint64_t ns)
{
	constexpr uint32_t sub = 1u << histogram_sub_bits;
	if (ns < sub)
		return static_cast<uint32_t>(ns);
	const auto octave = static_cast<uint32_t>(std::bit_width(ns)) - 1 - histogram_sub_bits;
	const uint32_t bucket = octave * sub + static_cast<uint32_t>(ns >> octave);
	return bucket < REFRAMER_HISTOGRAM_BUCKETS ? bucket : REFRAMER_HISTOGRAM_BUCKETS - 1;
}

constexpr uint64_t histogram_low(uint32_t bucket)
{
	constexpr uint32_t sub = 1u << histogram_sub_bits;
	if (bucket < 2 * sub)
		return bucket;
	const uint32_t octave = bucket / sub - 1;
	return static_cast<uint64_t>(bucket % sub + sub) << octave;
}

static_assert(histogram_bucket(histogram_low(100)) == 100 &&
              histogram_bucket(histogram_low(101) - 1) == 100);

} // namespace reframer::stage
