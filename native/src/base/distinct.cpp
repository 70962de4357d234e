#include "base/distinct.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace reframer::base {

namespace {

// Registers that saw nothing, as a share of all.
double sigma(double x)
{
	if (x == 1)
		return std::numeric_limits<double>::infinity();
	double sum = x, last;
	double weight = 1;
	do {
		x *= x;
		last = sum;
		sum += x * weight;
		weight += weight;
	} while (sum != last);
	return sum;
}

// Registers that are at the end of what a rank can tell, as 1 minus their share.
double tau(double x)
{
	if (x == 0 || x == 1)
		return 0;
	double sum = 1 - x, last;
	double weight = 1;
	do {
		x = std::sqrt(x);
		last = sum;
		weight /= 2;
		sum -= (1 - x) * (1 - x) * weight;
	} while (sum != last);
	return sum / 3;
}

} // namespace

double estimate_distinct(std::span<const uint8_t> ranks)
{
	const auto highest = static_cast<uint32_t>(65 - std::countr_zero(ranks.size()));
	std::array<uint32_t, 66> registers{}; // of each rank
	for (const uint8_t rank : ranks)
		registers[std::min<uint32_t>(rank, highest)]++;
	const double m = static_cast<double>(ranks.size());
	double z = m * tau(1 - registers[highest] / m);
	for (uint32_t rank = highest - 1; rank >= 1; rank--)
		z = (z + registers[rank]) / 2;
	z += m * sigma(registers[0] / m);
	return m * m / (2 * std::log(2.0) * z);
}

} // namespace reframer::base
