// The controller of T. It measures what a packet costs at a T for an epoch, compares with what it
// knows of half and double that T, and moves one step. Holding is worth its delay only while the
// caller is short of time and packets get cheaper for it: the original pays 49 us of median latency
// at a low load for nothing, and full price on traffic that has no locality.
#pragma once

#include "reframer/reframer.h"

#include <cstdint>

namespace reframer::stage {

class Adaptive {
public:
	// 0, then the budget divided by 32, 16, 8, 4, 2, 1: below 1/32 a T of 64 us is less than the
	// time between two polls of a busy core.
	static constexpr uint32_t nb_levels = 7;

	void reset(uint64_t now, uint64_t budget_ns, const reframer_stats &stats);
	void report(const reframer_load &load);
	bool due(uint64_t now) const { return now >= next_look_; }
	// @return the T to use from now on.
	uint64_t step(uint64_t now, uint64_t budget_ns, const reframer_stats &stats);
	// The counters were set to zero.
	void rebase() { packets_ = runs_ = 0; }

private:
	enum class Need { unknown, relaxed, steady, pressed };
	Need need(uint64_t packets, uint64_t elapsed, uint64_t budget_ns) const;
	uint32_t choose(double margin);
	bool fresh(uint32_t level) const;
	void begin(uint64_t now, uint64_t budget_ns, const reframer_stats &stats);
	uint64_t delay_of(uint32_t level, uint64_t budget_ns) const;

	uint32_t level_ = 0;
	uint32_t looked_from_ = nb_levels - 3;
	bool settling_ = true;   // groups of the T before are still leaving
	uint64_t next_look_ = 0;
	uint64_t begun_ = 0;
	uint64_t packets_ = 0, runs_ = 0; // of the statistics when the epoch began

	double cost_[nb_levels] = {};
	uint64_t measured_[nb_levels] = {}; // epoch; 0: never
	uint64_t epoch_ = 0;

	uint64_t busy_ = 0, total_ = 0, reported_ = 0; // since the epoch began
	double fill_ = 0;
	uint32_t longest_queue_ = 0;
	uint32_t nb_reports_ = 0;
};

} // namespace reframer::stage
