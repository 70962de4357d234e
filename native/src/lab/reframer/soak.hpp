// Random use of the public engines, at native speed, with a count of every promise that broke.
#pragma once

#include <cstdint>

namespace reframer::lab {

struct SoakCounts {
	uint64_t packets = 0;
	uint64_t lost = 0;       // went in and never came out
	uint64_t duplicated = 0; // came out twice, or never went in
	uint64_t reordered = 0;  // came out after a later one of its flow
	uint64_t over_held = 0;  // still held at the first poll with room after its deadline
	uint64_t thinned = 0;    // taken out by ACK thinning, which was asked for
	uint64_t moves = 0;      // buckets that changed core
	uint64_t rounds = 0;

	uint64_t broken() const { return lost + duplicated + reordered + over_held; }
};

// One round: random instance, random traffic, until all of `packets` came out again. The same seed
// gives the same round.
void soak_stage(uint64_t seed, uint64_t packets, SoakCounts &counts);
// As that, on several cores with their stages, between which buckets move.
void soak_cores(uint64_t seed, uint64_t packets, SoakCounts &counts);

} // namespace reframer::lab
