#include "lab/rsspp/epoch_runner.hpp"

#include "lab/rsspp/methods.hpp"
#include "measure/median.hpp"

#include <algorithm>

namespace reframer::lab {

EpochRunner::EpochRunner(const rsspp_balancer_params &params, uint32_t window, double mean_load)
	: nb_buckets(params.nb_buckets), nb_cores(params.nb_cores), window(window),
	  mean_load(mean_load), counters(nb_buckets), load(nb_cores), moves(nb_buckets),
	  window_packets(nb_cores), window_buckets(nb_buckets)
{
	balancer = make_balancer(params);
	const rsspp_epoch base = {counters.data(), load.data(), nullptr, nullptr};
	rsspp_report report;
	rsspp_balancer_step(balancer.get(), &base, moves.data(), &report);
}

uint32_t EpochRunner::epoch(const std::vector<uint64_t> &packets)
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
		return 0;
	for (uint32_t c = 0; c < nb_cores; c++) {
		window_packets[c] += of_core[c];
		load[c] = float(std::min(1.0, mean_load * nb_cores * double(of_core[c]) / double(total)));
	}
	if (++in_window == window) {
		const auto [least, most] =
			std::minmax_element(window_packets.begin(), window_packets.end());
		uint64_t sum = 0;
		for (uint64_t p : window_packets)
			sum += p;
		imbalance.push_back(imbalance_percent(*least, *most));
		over_mean.push_back(100.0 * (double(*most) * nb_cores / double(sum) - 1));
		// One core has the heaviest bucket alone, the others share the rest evenly.
		const uint64_t heaviest = *std::max_element(window_buckets.begin(), window_buckets.end());
		const double others = double(sum - heaviest) / std::max(1u, nb_cores - 1);
		floor.push_back(
			others > 0 ? std::clamp(100.0 * (double(heaviest) / others - 1), 0.0, imbalance_cap)
					   : 0);
		std::fill(window_packets.begin(), window_packets.end(), 0);
		std::fill(window_buckets.begin(), window_buckets.end(), 0);
		in_window = 0;
	}
	const rsspp_epoch input = {counters.data(), load.data(), nullptr, nullptr};
	rsspp_report report;
	const uint32_t n = balancer_step(balancer.get(), input, moves, report);
	nb_moves += n;
	over_bound.push_back(100.0 * (report.solution.worst_after / report.solution.lower_bound - 1));
	solve_us.push_back(double(report.solve_ns) * 1e-3);
	return n;
}

EpochRunner::Figures EpochRunner::figures() const
{
	Figures f = {};
	f.epochs = solve_us.size();
	f.imbalance_percent = engine::median(imbalance);
	f.floor_percent = nb_cores > 1 ? engine::median(floor) : 0;
	f.worst_over_mean_percent = engine::median(over_mean);
	f.worst_over_bound_percent = engine::median(over_bound);
	f.moves_per_epoch = f.epochs ? double(nb_moves) / double(f.epochs) : 0;
	f.solve_us = engine::median(solve_us);
	f.imbalance_by_window = imbalance;
	return f;
}

static double heaviest_share(const std::vector<uint64_t> &packets)
{
	uint64_t total = 0, heaviest = 0;
	for (uint64_t p : packets) {
		total += p;
		heaviest = std::max(heaviest, p);
	}
	return total ? double(heaviest) / double(total) : 0;
}

Settled settle(const rsspp_balancer_params &params, const std::vector<uint64_t> &packets)
{
	// Quiet for long: what a balancer has learnt of the load's noise must wear off. Given up as an
	// oscillation otherwise.
	constexpr uint32_t quiet_epochs = 25, most_epochs = 200;
	// No core at its limit, where the balancer sees less than there is.
	EpochRunner runner(params, most_epochs + 1,
	                   0.5 / std::max(1.0, heaviest_share(packets) * params.nb_cores));
	uint64_t quiet = 0;
	for (uint32_t e = 0; e < most_epochs && quiet < quiet_epochs; e++)
		quiet = runner.epoch(packets) == 0 ? quiet + 1 : 0;
	std::vector<uint64_t> of_core(params.nb_cores);
	uint64_t total = 0, heaviest = 0;
	for (uint32_t b = 0; b < params.nb_buckets; b++) {
		of_core[runner.table()[b]] += packets[b];
		total += packets[b];
		heaviest = std::max(heaviest, packets[b]);
	}
	const double bound = std::max(double(total) / params.nb_cores, double(heaviest));
	return {100 * (double(*std::max_element(of_core.begin(), of_core.end())) / bound - 1),
	        runner.moved()};
}

} // namespace reframer::lab
