// Flows for the soak: headers are made once for each flow and kind of packet, and shared by all
// packets of that kind.
#pragma once

#include "lab/reframer/soak_ledger.hpp"
#include "reframer/reframer.h"

#include <array>
#include <cstdint>
#include <vector>

namespace reframer::lab {

struct SoakFrame {
	std::array<uint8_t, 66> storage;
	const uint8_t *bytes;
	uint32_t captured, wire;
};

class SoakTraffic {
public:
	explicit SoakTraffic(SoakRandom &random);

	// A flow by the round's own popularity: some few flows have most packets, or all have the same.
	uint32_t pick(SoakRandom &random) const
	{
		const uint32_t among = random.one_in(3) ? nb_flows : busy_flows;
		return random.below(among);
	}
	const SoakFrame &frame(uint32_t flow, SoakRandom &random) const
	{
		return frames[flow * kinds + (random.one_in(3) ? random.below(kinds) : 0)];
	}
	// As a NIC's: the same for all packets of a flow; some flows share one.
	uint32_t hash_of(uint32_t flow) const { return (flow % hash_classes) * 2654435761u; }

	static constexpr uint32_t kinds = 8;
	uint32_t nb_flows;
	uint32_t busy_flows;
	uint32_t hash_classes;
	uint64_t longest_rule_delay = 0;
	std::vector<reframer_rule> rules;

private:
	std::vector<SoakFrame> frames;
};

// Any instance within the documented ranges; rules are the traffic's.
reframer_params random_params(SoakRandom &random, const SoakTraffic &traffic);

} // namespace reframer::lab
