// What the job `bench-reframer` is asked to measure.
#pragma once

#include "jobs/job.hpp"
#include "lab/reframer/bench_pool.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace reframer::lab {

inline constexpr uint32_t packets_per_sample = 4096, burst_most = 512;
// Time between two packets, of the virtual clock: 7.8 Mpps, T = 64 us holds 500 packets.
inline constexpr uint64_t gap_ns = 128;

struct BenchPoint {
	BenchTraffic traffic = BenchTraffic::trains;
	uint64_t flows = 10'000, burst = 32, in_flight = 630;
	uint64_t stride = BenchPool::mempool_stride, touched_kib = 0;
	// That go round: a queue's ring and what is on the way, in caches of the mempool, and held. A pool
	// without such caches hands out all that it has in turn.
	uint64_t buffers = 8192;
	bool nic_hash = true;
	// Whole bursts.
	uint32_t packets() const
	{
		return static_cast<uint32_t>(std::max(packets_per_sample / burst, uint64_t{1}) * burst);
	}
	// None is used again while it is held.
	uint32_t buffers_in_use() const
	{
		return static_cast<uint32_t>(
			std::max(buffers, std::bit_ceil(in_flight + burst + packets())));
	}
};

struct BenchSpec {
	engine::Dma::Into place;
	std::vector<BenchPoint> points;
	uint32_t lookahead, samples;
	uint64_t seed;
	int core, filler_core;
};
const char *name_of(BenchTraffic traffic);
BenchSpec parse_bench(const Json &json);

} // namespace reframer::lab
