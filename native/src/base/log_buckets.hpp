// Buckets of a histogram that are as wide as their values are large (the idea of HDR Histogram).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace reframer::base {

// Values below 2^(sub_bits + 1) have a bucket each; then 2^sub_bits buckets an octave.
template <unsigned sub_bits> struct LogBuckets {
	static constexpr size_t sub = size_t{1} << sub_bits;
	static constexpr size_t count = (65 - sub_bits) * sub; // reaches 2^64

	static constexpr size_t of(uint64_t value)
	{
		if (value < sub)
			return value;
		const auto octave = static_cast<unsigned>(std::bit_width(value)) - 1 - sub_bits;
		return octave * sub + (value >> octave);
	}
	// The least value of a bucket.
	static constexpr uint64_t low(size_t bucket)
	{
		if (bucket < 2 * sub)
			return bucket;
		return (uint64_t{bucket % sub} + sub) << (bucket / sub - 1);
	}
};

} // namespace reframer::base
