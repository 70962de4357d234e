// RSS++, Reframer, flow tracker and chain in one program: every core a thread, one more as port and
// balancer, and buckets that move between the cores meanwhile.
#pragma once

#include <cstdint>

namespace reframer::lab {

struct PipelineSpec {
	uint64_t packets = 1'000'000;
	uint64_t seed = 1;
	uint32_t cores = 3;
	uint32_t buckets = 128; // power of two
	uint32_t flows = 20'000;
	uint32_t moves_every = 4096; // packets from one table write to the next
	uint32_t moves = 8;          // buckets that a write moves
	uint64_t delay_ns = 64'000;  // Reframer's T
};

struct PipelineResult {
	uint64_t packets, passed, dropped; // dropped: by the chain
	int64_t lost;
	uint64_t reordered;    // against what the flow's state had seen last
	uint64_t state_errors; // flows without state where there should be some, or with a wrong count
	uint64_t flows;        // in all cores' tables at the end
	uint64_t runs;         // that Reframer made of the packets
	uint64_t moves, held, forwarded, handed_over;
	double seconds;
};

PipelineResult run_pipeline(const PipelineSpec &spec);

} // namespace reframer::lab
