// Flows as a balancer sees them: how many packets each brings in an epoch, without frames. Shares,
// sizes and rates follow the published statistics of the two campus traces of RSS++ (CoNEXT'19).
#pragma once

#include "base/random.hpp"

#include <cstdint>
#include <vector>

namespace reframer::traffic {

struct FlowPopulationProfile {
	const char *name;
	double new_flows_per_second;
	double packets_per_second;
	double elephant_packets_per_second; // the one heaviest flow, always there
};

// Mid-trace figures of the `count` experiment; the elephant is a 1 Gbit/s host in both.
inline constexpr FlowPopulationProfile campus_population = {"campus", 8800, 507e3, 81.7e3};
inline constexpr FlowPopulationProfile campus4_population = {"campus4", 34900, 1.87e6, 81.7e3};

struct FlowShare {
	uint32_t hash;    // uniform, as RSS makes it
	uint32_t packets; // in this epoch
};

class FlowPopulation {
public:
	FlowPopulation(const FlowPopulationProfile &profile, uint64_t seed);

	// Lets time pass; the flows that sent something meanwhile. Valid until the next call.
	const std::vector<FlowShare> &advance(double seconds);

private:
	struct Flow {
		uint32_t hash;
		double rate; // packets a second while it lives
		double left; // packets
		double meant = -1,
			   limit = 0; // of the last draw: mean and e to its minus, mostly the next one's, too
		bool heavy;
	};

	double uniform();
	double normal();
	uint64_t poisson(double mean);
	uint64_t poisson(Flow &flow, double mean);
	uint64_t events(double limit);
	Flow arrival();

	FlowPopulationProfile profile;
	base::Random random;
	double spare_normal = 0;
	bool has_spare = false;
	double scale = 1; // brings the packet rate to the profile's
	std::vector<Flow> flows;
	std::vector<FlowShare> shares;
};

} // namespace reframer::traffic
