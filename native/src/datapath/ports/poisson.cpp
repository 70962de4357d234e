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
	nf::Random random{seed};
	std::vector<Arrival> arrivals;
	arrivals.reserve(n);
	double t = 0;
	for (size_t i = 0; i < n; i++) {
		t += -std::log(1.0 - random.unit()) / rate;
		arrivals.push_back(
			{static_cast<uint64_t>(t), frame.data(), frame.size(), 1000, 0, random.below(100)});
	}
	return arrivals;
}

double md1_mean_ns(double service_ns, double rho)
{
	return service_ns + rho * service_ns / (2 * (1 - rho));
}

double md1_quantile_ns(double service_ns, double rho, double q)
{
	// Erlang's distribution of the wait W, in units of the service time: P(W <= t) =
	// (1 - rho) sum over k <= t of (-rho (t - k))^k / k! e^(rho (t - k)). The terms alternate in sign and
	// grow with t; up to 30 service times a long double keeps eight digits.
	const auto waits_at_most = [rho](long double t) {
		long double sum = 0;
		for (int k = 0; k <= static_cast<int>(t); k++) {
			const long double x = static_cast<long double>(rho) * (t - k);
			const long double size =
				x > 0 ? std::exp(x + k * std::log(x) - std::lgamma(k + 1.0L)) : (k == 0);
			sum += k % 2 == 0 ? size : -size;
		}
		return (1 - static_cast<long double>(rho)) * sum;
	};
	long double low = 0, high = 30;
	if (waits_at_most(0) >= static_cast<long double>(q))
		return service_ns;
	for (int i = 0; i < 60; i++) {
		const long double middle = (low + high) / 2;
		(waits_at_most(middle) < static_cast<long double>(q) ? low : high) = middle;
	}
	return service_ns * (1 + static_cast<double>(high));
}

} // namespace reframer::engine
