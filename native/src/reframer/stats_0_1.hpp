// Statistics as programs of before 0.2 know them: known by their size, which those of now never reach.
#pragma once

#include "reframer/deprecated.h"
#include "reframer/reframer.h"

#include <cstddef>
#include <cstring>

namespace reframer::stage {

static_assert(sizeof(reframer_stats) < sizeof(reframer_stats_0_1));
static_assert(offsetof(reframer_stats, delay_ns) == offsetof(reframer_stats_0_1, hold_histogram));

inline void write_stats_0_1(const reframer_stage *r, const reframer_stats &stats,
                            reframer_stats_0_1 *out)
{
	std::memcpy(static_cast<void *>(out), &stats, offsetof(reframer_stats, delay_ns));
	reframer_hold_histogram(r, out->hold_histogram, REFRAMER_HISTOGRAM_BUCKETS);
	out->delay_ns = stats.delay_ns;
	out->passed = stats.passed;
}

} // namespace reframer::stage
