// Runs one balancing method over a stream of epochs and keeps the figures by which methods are
// compared. What moves takes effect in the epoch after, as on a NIC.
#pragma once

#include "reframer/rsspp.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace reframer::lab {

class EpochRunner {
public:
	// `window`: epochs over which queue counts are summed before (max - min) / min is taken; the
	// published figures use one second.
	EpochRunner(rsspp_method method, uint32_t nb_buckets, uint32_t nb_cores, uint32_t window);

	// Packets of each bucket in the epoch that ended; an epoch without packets is passed over.
	void epoch(const std::vector<uint64_t> &packets);

	struct Figures {
		double imbalance_percent;        // median over windows of (max - min) / min, capped at 2000
		double floor_percent;            // median over windows: what the heaviest bucket alone makes of it
		double worst_over_mean_percent;  // median over windows
		double worst_over_bound_percent; // median over epochs, as solved: predicted worst / lower bound - 1
		double moves_per_epoch;          // mean
		double solve_us;                 // median
		uint64_t epochs;
		std::vector<double> imbalance_by_window;
	};
	Figures figures() const;

private:
	struct Free {
		void operator()(rsspp_balancer *b) const { rsspp_balancer_free(b); }
	};
	std::unique_ptr<rsspp_balancer, Free> balancer;
	uint32_t nb_buckets, nb_cores, window;
	std::vector<uint64_t> counters;
	std::vector<float> load;
	std::vector<rsspp_move> moves;
	std::vector<uint64_t> window_packets, window_buckets;
	uint32_t in_window = 0;
	std::vector<double> imbalance, floor, over_mean, over_bound, solve_us;
	uint64_t nb_moves = 0;
};

} // namespace reframer::lab
