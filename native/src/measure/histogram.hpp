// Latencies with a relative resolution of 1/64, whatever their size (the idea of HDR Histogram).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace reframer::engine {

class Histogram {
public:
	void add(uint64_t value)
	{
		counts_[bucket_of(value)]++;
		count_++;
		sum_ += static_cast<double>(value);
		max_ = value > max_ ? value : max_;
	}
	void merge(const Histogram &other)
	{
		for (size_t i = 0; i < counts_.size(); i++)
			counts_[i] += other.counts_[i];
		count_ += other.count_;
		sum_ += other.sum_;
		max_ = other.max_ > max_ ? other.max_ : max_;
	}
	uint64_t count() const { return count_; }
	uint64_t max() const { return max_; }
	double mean() const { return count_ ? sum_ / static_cast<double>(count_) : 0.0; }
	// Middle of the bucket in which the share `q` of the values is reached; never above the maximum.
	double quantile(double q) const
	{
		if (!count_)
			return 0.0;
		double wanted = q * static_cast<double>(count_);
		uint64_t seen = 0;
		for (size_t i = 0; i < counts_.size(); i++) {
			seen += counts_[i];
			if (counts_[i] && static_cast<double>(seen) >= wanted) {
				double middle =
					(static_cast<double>(low_of(i)) + static_cast<double>(low_of(i + 1) - 1)) / 2;
				return middle < static_cast<double>(max_) ? middle : static_cast<double>(max_);
			}
		}
		return static_cast<double>(max_);
	}

private:
	// Values below 128 have a bucket each; then 64 buckets an octave.
	static size_t bucket_of(uint64_t v)
	{
		if (v < 128)
			return v;
		unsigned shift = static_cast<unsigned>(std::bit_width(v)) - 7;
		return (size_t{shift} << 6) + (v >> shift);
	}
	static uint64_t low_of(size_t bucket)
	{
		if (bucket < 128)
			return bucket;
		unsigned shift = static_cast<unsigned>(bucket >> 6) - 1;
		return (uint64_t{bucket & 63} + 64) << shift;
	}

	std::array<uint64_t, 59 * 64> counts_{}; // reaches 2^64
	uint64_t count_ = 0, max_ = 0;
	double sum_ = 0;
};

} // namespace reframer::engine
