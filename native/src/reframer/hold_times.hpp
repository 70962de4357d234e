// Hold times of one stage or several, for those who report them.
#pragma once

#include "reframer/reframer.h"

#include <cstdint>

namespace reframer::stage {

struct HoldTimes {
	uint64_t packets[REFRAMER_HISTOGRAM_BUCKETS] = {};

	void add(const reframer_stage *r)
	{
		uint64_t more[REFRAMER_HISTOGRAM_BUCKETS];
		reframer_hold_histogram(r, more, REFRAMER_HISTOGRAM_BUCKETS);
		for (uint32_t b = 0; b < REFRAMER_HISTOGRAM_BUCKETS; b++)
			packets[b] += more[b];
	}
	void add(const HoldTimes &other)
	{
		for (uint32_t b = 0; b < REFRAMER_HISTOGRAM_BUCKETS; b++)
			packets[b] += other.packets[b];
	}
	uint64_t quantile(double q) const
	{
		return reframer_hold_quantile(packets, REFRAMER_HISTOGRAM_BUCKETS, q);
	}
};

} // namespace reframer::stage
