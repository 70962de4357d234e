// What the parts of the job `bench-conntrack` share.
#pragma once

#include "conntrack/contenders/tracker.hpp"
#include "jobs/job.hpp"
#include "lab/conntrack/trial.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace reframer::lab {

// Of a record {"row": ...}.
struct Row {
	std::string contender, workload;
	uint64_t flows;
	uint32_t threads, depth;
	bool look_ahead;
	double bytes; // of all tables
};
// With the median of the samples and its interval, and `more` members.
void emit_row(const Row &row, std::vector<double> mops, uint64_t seed, const Json &more);

// Workloads "insert-50", "insert-90" (of a table's slots, without growth), "insert-growth" from 16 k to
// a million flows, and "insert-prepared", the same with memory touched ahead of need.
void bench_inserts(const std::vector<std::string> &contenders, uint64_t slots, uint64_t seed);
// Workloads "hostile" (keys with one CRC, the hash of the paper's tables) and, for the burst table,
// "nic" and "nic-hostile" (places from NIC hashes: spread, and all the same).
void bench_hostile(const std::vector<std::string> &contenders, uint32_t flows, uint32_t depth,
                   bool quick, uint64_t seed);

} // namespace reframer::lab
