// How many distinct things the registers of a HyperLogLog have seen.
#pragma once

#include <cstdint>
#include <span>

namespace reframer::base {

// A register holds the highest rank of the hashes that it saw, 0 if it saw none. A hash has
// log2(ranks.size()) bits of register number; its rank is 1 plus the zeros that the others begin
// with. Ertl's estimator (arXiv:1702.01284, section 4): unlike the one of 2007 (Flajolet et al.) it
// has no bias of some percent between the range of empty registers and the one above it.
// Standard error: 1.04 / sqrt(ranks.size()).
double estimate_distinct(std::span<const uint8_t> ranks);

} // namespace reframer::base
