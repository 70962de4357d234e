#include "datapath/ports/poisson.hpp"

#include "nf/prefixes.hpp"

#include <array>
#include <cmath>

namespace reframer::engine {

namespace {
constexpr std::array<uint8_t, 64> frame = {};
}

std::vector<Arrival> poisson_arrivals(uint64_t seed, double rate, size_t n)
{
	nf::Random random(seed);
	std::vector<Arrival> arrivals;
	arrivals.reserve(n);
	double t = 0;
	for (size_t i = 0; i < n; i++) {
		t += -std::log(1.0 - random.unit()) / rate;
		arrivals.push_back({static_cast<uint64_t>(t), frame.data(), frame.size(), 1000, 0, random.below(100)});
	}
	return arrivals;
}

double md1_mean_ns(double service_ns, double rho)
{
	return service_ns + rho * service_ns / (2 * (1 - rho));
}

} // namespace reframer::engine
