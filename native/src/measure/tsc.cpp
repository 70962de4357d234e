#include "measure/tsc.hpp"

#include "measure/median.hpp"

#include <array>
#include <chrono>

namespace reframer::engine {

double measure_tsc_hz()
{
	using Clock = std::chrono::steady_clock;
	auto a = Clock::now();
	uint64_t t = tsc_start();
	while (Clock::now() - a < std::chrono::milliseconds(20)) {
	}
	auto b = Clock::now();
	uint64_t ticks = tsc_start() - t;
	return static_cast<double>(ticks) / std::chrono::duration<double>(b - a).count();
}

double measure_tsc_overhead()
{
	std::array<uint64_t, 1001> d;
	for (uint64_t &v : d) {
		uint64_t t = tsc_start();
		v = tsc_stop() - t;
	}
	return median_in_place(std::span<uint64_t>(d));
}

} // namespace reframer::engine
