// TCP repair: within one released group, data segments of a flow leave in sequence order. Only the
// places that the flow's data has are dealt anew; other packets stay where they are.
#pragma once

#include "reframer/tcp_segment.hpp"

#include <cstdint>
#include <span>

namespace reframer::stage {

struct RepairScratch {
	Slot *slots;     // as many as a group may have packets
	uint64_t *order;
	uint32_t *ids;
};

// `segments`: all of a group, sorted by flow, then position. @return packets that changed place.
uint32_t repair_tcp(Slot *slots, std::span<const Segment> segments, RepairScratch scratch);

} // namespace reframer::stage
