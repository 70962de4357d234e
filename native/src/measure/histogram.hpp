// Latencies with a relative resolution of 1/64, whatever their size.
#pragma once

#include "base/log_buckets.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace reframer::engine {

class Histogram {
public:
	void add(uint64_t value)
	{
		counts_[Buckets::of(value)]++;
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
				double middle = (static_cast<double>(Buckets::low(i)) +
				                 static_cast<double>(Buckets::low(i + 1) - 1)) /
				                2;
				return middle < static_cast<double>(max_) ? middle : static_cast<double>(max_);
			}
		}
		return static_cast<double>(max_);
	}

private:
	using Buckets = base::LogBuckets<6>;

	std::array<uint64_t, Buckets::count> counts_{};
	uint64_t count_ = 0, max_ = 0;
	double sum_ = 0;
};

} // namespace reframer::engine
