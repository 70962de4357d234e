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
	// Packets need not even be grouped: T is 0, and what they cost is judged by the caller's cycles,
	// not by counting runs.
	bool passes() const { return level_ == 0 && told_; }
	// Of the caller's core, as it reports; 0: not known.
	double packet_ns() const { return packet_ns_; }
	// The counters were set to zero.
	void rebase() { packets_ = runs_ = 0; }

private:
	enum class Need { unknown, relaxed, steady, pressed };
	Need need(uint64_t packets, uint64_t elapsed, uint64_t budget_ns) const;
	double busy() const;
	uint32_t relax() const;
	uint32_t choose(uint64_t now, double margin);
	uint32_t leave_zero(uint64_t now);
	uint32_t give_up(uint64_t now);
	bool fresh(uint32_t level) const;
	void begin(uint64_t now, uint64_t budget_ns, const reframer_stats &stats);
	void forget();
	uint64_t delay_of(uint32_t level, uint64_t budget_ns) const;

	uint32_t level_ = 0;
	bool settling_ = true; // groups of the T before are still leaving
	bool told_ = false;    // the caller reports its load
	uint64_t next_look_ = 0;
	uint64_t begun_ = 0;
	uint64_t packets_ = 0, runs_ = 0; // of the statistics when the epoch began

	// Trying to hold from T = 0.
	uint32_t look_at_ = nb_levels - 3; // level to try next
	uint64_t next_try_ = 0, patience_ = 0;
	bool calm_ = true;      // relaxed since the last try
	bool rushed_ = false;   // the queue filled out of calm
	bool trying_ = false;   // from T = 0, this epoch
	bool checking_ = false; // T = 0, to compare with what seemed to be a gain

	double packet_ns_ = 0;
	double cost_[nb_levels] = {};
	uint64_t measured_[nb_levels] = {}; // epoch; 0: never
	uint64_t epoch_ = 0;

	uint64_t busy_ = 0, total_ = 0, reported_ = 0; // since the epoch began
	double fill_ = 0;
	uint32_t longest_queue_ = 0;
	uint32_t nb_reports_ = 0;
};

} // namespace reframer::stage
