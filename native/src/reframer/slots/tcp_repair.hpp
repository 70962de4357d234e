// TCP repair: within one released group, data segments of a flow leave in sequence order. Only the
// places that the flow's data has are dealt anew; other packets stay where they are.
// No segment moves across one with an older timestamp: a receiver drops what is older than the
// newest in order (PAWS, RFC 7323 section 5). So a retransmission stays behind what was sent before it.
#pragma once

#include "reframer/slots/tcp_segment.hpp"

#include <cstdint>
#include <span>

namespace reframer::stage {

// A segment with data. Sequence number and timestamp are distances from the first of the flow:
// a total order, where the wrap-safe comparison alone is none beyond 2^31.
struct RepairItem {
	uint32_t distance;
	uint32_t stamp;
	uint32_t rank; // in order of arrival
	bool has_stamp;
};

// The timestamps of what stays in its place before a segment with data.
struct RepairGap {
	uint32_t low = UINT32_MAX, high = 0;
	bool empty() const { return low > high; }
};

struct RepairScratch {
	Slot *slots; // as many as a group may have packets
	RepairItem *items;
	RepairGap *gaps;
	uint32_t *ids;
};

// `segments`: all of a group, sorted by flow, then position. @return packets that changed place.
uint32_t repair_tcp(Slot *slots, std::span<const Segment> segments, RepairScratch scratch);

} // namespace reframer::stage
