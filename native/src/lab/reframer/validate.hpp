// What job `validate` says of its measurements.
#pragma once

#include "jobs/job.hpp"

#include <cstdint>
#include <vector>

namespace reframer::lab {

// Throughputs of repeated trials on both engines, measured in blocks of six: virtual, threads,
// standing (virtual, the clock standing twice as long between polls), and back.
struct EnginePair {
	std::vector<double> on_virtual, on_threads, on_standing;
	std::vector<double> dropped; // shares of the offered packets, of all
};

// {"virtualPps", "threadsPps", "ratio", "ratioLow", "ratioHigh", "standing", "noise", "dropShare", "verdict"}:
// medians; standing, the share by which a packet takes longer where the clock stands twice as long;
// ratio of threads to virtual, that share taken off the virtual engine's time a packet, block by
// block, with its 95 % bootstrap interval; noise, the
// larger of the two medians of |a - b| / mean over two runs of the same engine in one block.
// verdict "agrees": the median lies within 1 +- noise; "differs": the whole interval lies outside;
// "undecided": neither, and more blocks would tell; "not overloaded": an engine
// dropped too little (the least share is stated) for its throughput to be the core's; nothing is said.
Json compare_engines(const EnginePair &pair, uint64_t seed);

// {"rho", "serviceNs", "packets", "expectedNs", "meanNs", "lowNs", "highNs", "verdict"}: mean time in
// a queue with fixed service time, over several seeds, against M/D/1; agrees within 3 %.
Json check_md1(double rho, uint32_t packets, uint64_t seed);

} // namespace reframer::lab
