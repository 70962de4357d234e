// What job `validate` says of its measurements.
#pragma once

#include "jobs/job.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace reframer::lab {

// Two engines agree where the whole 95 % interval of a ratio lies within 1 +- this, differ where none
// of it does.
inline constexpr double agreement = 0.03;
// With fewer values an interval says nothing.
inline constexpr size_t least_blocks = 6;

enum class Agreement : uint8_t { agrees, undecided, differs };
const char *word(Agreement a);

// {"ratio", "low", "high", "verdict"} of ratios that were measured block by block: median, 95 %
// bootstrap interval (null below `least_blocks`), and "agrees", "undecided" or "differs".
Json judge_ratios(const std::vector<double> &ratios, uint64_t seed);

// Throughputs of repeated trials on both engines, measured in blocks of six: virtual, threads,
// standing (virtual, the clock standing twice as long between polls), and back.
struct EnginePair {
	std::vector<double> on_virtual, on_threads, on_standing;
	std::vector<double> dropped; // shares of the offered packets, of all
};

// {"virtualPps", "threadsPps", "ratio", "ratioLow", "ratioHigh", "standing", "noise", "dropShare", "verdict"}:
// medians; standing, the share by which a packet takes longer where the clock stands twice as long;
// ratio of threads to virtual, that share taken off the virtual engine's time a packet, block by
// block, as judge_ratios() has it; noise, the larger of the two medians of |a - b| / mean over two runs
// of the same engine in one block. Verdict "not overloaded": an engine dropped too little (the least
// share is stated) for its throughput to be the core's; nothing is said.
Json compare_engines(const EnginePair &pair, uint64_t seed);

// Latencies of repeated trials below overload, in blocks of four: virtual, threads, and back.
struct LatencyPair {
	std::vector<double> on_virtual, on_threads;
};
// {"virtualNs", "threadsNs", "ratio", "low", "high", "verdict"}.
Json compare_latencies(const LatencyPair &pair, uint64_t seed);

// {"rho", "serviceNs", "packets", "expectedNs", "meanNs", "lowNs", "highNs", "expectedP50Ns", "p50Ns",
// "expectedP99Ns", "p99Ns", "verdict"}: mean, median and 99th percentile of the time in a queue with
// fixed service time, over several seeds, against M/D/1; agrees where all three are within 3 %.
Json check_md1(double rho, uint32_t packets, uint64_t seed);

} // namespace reframer::lab
