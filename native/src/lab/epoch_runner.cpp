#include "lab/epoch_runner.hpp"

#include <algorithm>
#include <stdexcept>

namespace reframer::lab {

namespace {

// Mean load at which methods are compared: the load of the published latency experiment.
constexpr double mean_load = 0.8;
constexpr double imbalance_cap = 2000;

double median(std::vector<double> v)
{
	if (v.empty())
		return 0;
	const auto middle = v.begin() + long(v.size() / 2);
	std::nth_element(v.begin(), middle, v.end());
	if (v.size() % 2)
		return *middle;
	return (*middle + *std::max_element(v.begin(), middle)) / 2;
}

} // namespace

EpochRunner::EpochRunner(rsspp_method method, uint32_t nb_buckets, uint32_t nb_cores, uint32_t window)
    : nb_buckets(nb_buckets), nb_cores(nb_cores), window(window), counters(nb_buckets), load(nb_cores),
      moves(nb_buckets), window_packets(nb_cores),
      window_buckets(nb_buckets)
{
	rsspp_balancer_params params;
	rsspp_balancer_default_params(&params);
	params.method = method;
	params.nb_buckets = nb_buckets;
	params.nb_cores = nb_cores;
	rsspp_balancer *b = nullptr;
	if (rsspp_balancer_create(&params, &b) != 0)
		throw std::invalid_argument("the balancer takes 2..4096 buckets and 1..256 cores");
	balancer.reset(b);
	const rsspp_epoch base = {counters.data(), load.data(), nullptr};
	rsspp_report report;
	rsspp_balancer_step(balancer.get(), &base, moves.data(), &report);
}

void EpochRunner::epoch(const std::vector<uint64_t> &packets)
{
	const uint16_t *table = rsspp_balancer_table(balancer.get());
	std::vector<uint64_t> of_core(nb_cores);
	uint64_t total = 0;
	for (uint32_t b = 0; b < nb_buckets; b++) {
		counters[b] += packets[b];
		of_core[table[b]] += packets[b];
		window_buckets[b] += packets[b];
		total += packets[b];
	}
	if (total == 0)
		return;
	for (uint32_t c = 0; c < nb_cores; c++) {
		window_packets[c] += of_core[c];
		load[c] = float(std::min(1.0, mean_load * nb_cores * double(of_core[c]) / double(total)));
	}
	if (++in_window == window) {
		const auto [least, most] = std::minmax_element(window_packets.begin(), window_packets.end());
		uint64_t sum = 0;
		for (uint64_t p : window_packets)
			sum += p;
		imbalance.push_back(*least == 0 ? imbalance_cap
		                                : std::min(imbalance_cap, 100.0 * double(*most - *least) / double(*least)));
		over_mean.push_back(100.0 * (double(*most) * nb_cores / double(sum) - 1));
		// One core has the heaviest bucket alone, the others share the rest evenly.
		const uint64_t heaviest = *std::max_element(window_buckets.begin(), window_buckets.end());
		const double others = double(sum - heaviest) / std::max(1u, nb_cores - 1);
		floor.push_back(others > 0 ? std::clamp(100.0 * (double(heaviest) / others - 1), 0.0, imbalance_cap) : 0);
		std::fill(window_packets.begin(), window_packets.end(), 0);
		std::fill(window_buckets.begin(), window_buckets.end(), 0);
		in_window = 0;
	}
	const rsspp_epoch input = {counters.data(), load.data(), nullptr};
	rsspp_report report;
	const int n = rsspp_balancer_step(balancer.get(), &input, moves.data(), &report);
	if (n < 0)
		throw std::runtime_error("the method gave up: the case is too large for it");
	nb_moves += uint64_t(n);
	over_bound.push_back(100.0 * (report.solution.worst_after / report.solution.lower_bound - 1));
	solve_us.push_back(double(report.solve_ns) * 1e-3);
}

EpochRunner::Figures EpochRunner::figures() const
{
	Figures f = {};
	f.epochs = solve_us.size();
	f.imbalance_percent = median(imbalance);
	f.floor_percent = nb_cores > 1 ? median(floor) : 0;
	f.worst_over_mean_percent = median(over_mean);
	f.worst_over_bound_percent = median(over_bound);
	f.moves_per_epoch = f.epochs ? double(nb_moves) / double(f.epochs) : 0;
	f.solve_us = median(solve_us);
	f.imbalance_by_window = imbalance;
	return f;
}

} // namespace reframer::lab
