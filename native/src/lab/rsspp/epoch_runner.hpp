// Runs one balancing method over a stream of epochs and keeps the figures by which methods are
// compared. What moves takes effect in the epoch after, as on a NIC.
#pragma once

#include "api/owned.hpp"
#include "jobs/record.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace reframer::lab {

class EpochRunner {
public:
	// `window`: epochs over which queue counts are summed before (max - min) / min is taken; the
	// published figures use one second.
	EpochRunner(const rsspp_balancer_params &params, uint32_t window,
	            double mean_load = default_mean_load);
	// The load of the published latency experiment.
	static constexpr double default_mean_load = 0.8;

	// Packets of each bucket in the epoch that ended; an epoch without packets is passed over. Returns
	// the number of moves.
	uint32_t epoch(const std::vector<uint64_t> &packets);

	struct Figures {
		double imbalance_percent; // median over windows of (max - min) / min, capped at 2000
		double floor_percent;     // median over windows: what the heaviest bucket alone makes of it
		double worst_over_mean_percent; // median over windows
		// Median over epochs, as solved: predicted worst / lower bound - 1.
		double worst_over_bound_percent;
		double moves_per_epoch; // mean
		double solve_us;        // median
		uint64_t epochs;
		std::vector<double> imbalance_by_window;

		Json record() const // without the last
		{
			return NAMED(imbalance_percent, floor_percent, worst_over_mean_percent,
			             worst_over_bound_percent, moves_per_epoch, solve_us, epochs);
		}
	};
	Figures figures() const;
	const uint16_t *table() const { return rsspp_balancer_table(balancer.get()); }
	uint64_t moved() const { return nb_moves; }

private:
	api::Balancer balancer;
	uint32_t nb_buckets, nb_cores, window;
	double mean_load;
	std::vector<uint64_t> counters;
	std::vector<float> load;
	std::vector<rsspp_move> moves;
	std::vector<uint64_t> window_packets, window_buckets;
	uint32_t in_window = 0;
	std::vector<double> imbalance, floor, over_mean, over_bound, solve_us;
	uint64_t nb_moves = 0;
};

// One epoch's packets again and again from the first table on, until nothing moves any more: what a
// method makes of a load that stands still.
struct Settled {
	double over_bound_percent; // worst core, measured, above max(mean, heaviest bucket)
	uint64_t moves;            // all that it took
};
Settled settle(const rsspp_balancer_params &params, const std::vector<uint64_t> &packets);

} // namespace reframer::lab
