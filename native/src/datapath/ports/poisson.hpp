// Poisson arrivals, for checks of a queue against what queueing theory says.
#pragma once

#include "datapath/queue.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace reframer::engine {

// `n` packets of 64 bytes (1000 on the wire) of 100 flows, on average `rate` a nanosecond.
std::vector<Arrival> poisson_arrivals(uint64_t seed, double rate, size_t n);

// Mean time in a queue with Poisson arrivals and one server with a fixed service time at utilisation
// `rho` (Pollaczek-Khinchine).
double md1_mean_ns(double service_ns, double rho);
// The time in that queue that a share `q` of the customers does not exceed; `rho` at most 0.9.
double md1_quantile_ns(double service_ns, double rho, double q);

} // namespace reframer::engine
