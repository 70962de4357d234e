// Hold times in the buckets that the public header promises: at most 1/16 of their value wide.
#pragma once

#include "base/log_buckets.hpp"
#include "reframer/reframer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace reframer::stage {

using HoldBuckets = base::LogBuckets<4>;

// The last one takes what is longer, too.
constexpr size_t hold_bucket(uint64_t ns)
{
	return std::min<size_t>(HoldBuckets::of(ns), REFRAMER_HISTOGRAM_BUCKETS - 1);
}

} // namespace reframer::stage
