#include "reframer/tcp_repair.hpp"

#include <algorithm>

namespace reframer::stage {

namespace {

// `ids`: `n` slots of one flow's data between two barriers, in order of arrival, copied to
// scratch.slots; scratch.order has (distance, rank) of each.
uint32_t deal(Slot *slots, const uint32_t *ids, uint32_t n, RepairScratch scratch)
{
	if (std::is_sorted(scratch.order, scratch.order + n))
		return 0;
	std::sort(scratch.order, scratch.order + n);
	uint32_t moved = 0;
	for (uint32_t i = 0; i < n; i++) {
		const auto rank = static_cast<uint32_t>(scratch.order[i]);
		if (rank == i)
			continue;
		moved++;
		const Slot &from = scratch.slots[rank];
		Slot &to = slots[ids[i]];
		to.packet = from.packet;
		to.data = from.data;
		to.arrival = from.arrival;
		to.wire = from.wire;
		to.captured = from.captured;
	}
	return moved;
}

} // namespace

uint32_t repair_tcp(Slot *slots, std::span<const Segment> segments, RepairScratch scratch)
{
	uint32_t moved = 0, n = 0;
	uint32_t base = 0;
	uint64_t flow = 0;
	const auto flush = [&] {
		moved += deal(slots, scratch.ids, n, scratch);
		n = 0;
	};
	for (const Segment &segment : segments) {
		if (!segment.tcp)
			continue;
		if (segment.flow != flow || segment.barrier)
			flush();
		flow = segment.flow;
		if (!segment.data || segment.barrier)
			continue;
		if (n == 0)
			base = segment.sequence;
		// Distances from one number are a total order where the wrap-safe comparison alone is
		// not (segments more than 2^31 apart); the rank keeps equal numbers as they came.
		const uint32_t distance = segment.sequence - base + (1u << 31);
		scratch.ids[n] = segment.slot;
		scratch.slots[n] = slots[segment.slot];
		scratch.order[n] = static_cast<uint64_t>(distance) << 32 | n;
		n++;
	}
	flush();
	return moved;
}

} // namespace reframer::stage
