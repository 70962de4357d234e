// ACK thinning: within one released group, a pure ACK goes when a later one of the same flow says
// all that it said. What a sender may learn from stays: the first ACK and the last, duplicates,
// SACK and any option but a timestamp, timestamps that the covering ACK does not repeat, ECE and
// CWR, and of course data.
#pragma once

#include "reframer/slots/tcp_segment.hpp"

#include <cstdint>
#include <span>

namespace reframer::stage {

// `segments`: all of a group, sorted by flow, then position. Marks those to take out in
// `taken[position]`; never the first nor the last packet of the group. @return how many.
uint32_t thin_acks(std::span<const Segment> segments, uint8_t *taken);

} // namespace reframer::stage
