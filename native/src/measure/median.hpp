// The median of repeated measurements, how sure it is, and other quantiles.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace reframer::engine {

// Of an even number, the mean of the two in the middle; 0 of none. Reorders the values.
template <typename T> double median_in_place(std::span<T> values)
{
	if (values.empty())
		return 0;
	const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
	std::nth_element(values.begin(), middle, values.end());
	if (values.size() % 2)
		return static_cast<double>(*middle);
	const auto below = *std::max_element(values.begin(), middle);
	return (static_cast<double>(below) + static_cast<double>(*middle)) / 2;
}

template <typename T> double median(std::vector<T> values)
{
	return median_in_place(std::span<T>(values));
}

// The value below which the share `q` of the values lie, one of them; 0 of none.
template <typename T> T quantile(std::vector<T> values, double q)
{
	if (values.empty())
		return 0;
	const auto at =
		std::min(static_cast<size_t>(q * static_cast<double>(values.size())), values.size() - 1);
	const auto place = values.begin() + static_cast<ptrdiff_t>(at);
	std::nth_element(values.begin(), place, values.end());
	return *place;
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
		medians.push_back(median_in_place(std::span<double>(sample)));
	}
	std::sort(medians.begin(), medians.end());
	return {medians[resamples / 40], medians[resamples - 1 - resamples / 40]};
}

} // namespace reframer::engine
