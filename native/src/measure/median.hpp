// The median of repeated measurements and how sure it is.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace reframer::lab {

// Of an even number, the upper of the two in the middle; not for none.
inline double median(std::vector<double> values)
{
	std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2),
	                 values.end());
	return values[values.size() / 2];
}

// 95 % bootstrap interval of the median.
inline std::pair<double, double> interval_of_median(const std::vector<double> &values,
                                                    uint64_t seed)
{
	constexpr uint32_t resamples = 1000;
	std::mt19937_64 random(seed);
	std::vector<double> medians, sample(values.size());
	for (uint32_t i = 0; i < resamples; i++) {
		for (double &value : sample)
			value = values[random() % values.size()];
		medians.push_back(median(sample));
	}
	std::sort(medians.begin(), medians.end());
	return {medians[resamples / 40], medians[resamples - 1 - resamples / 40]};
}

} // namespace reframer::lab
