#include "reframer/slots/tcp_repair.hpp"

#include <algorithm>

namespace reframer::stage {

namespace {

// How many segments one may pass on its way forward where timestamps must be looked at one by one;
// the default of max_burst. Keeps the work linear in groups of any length.
constexpr uint32_t max_steps = 128;

bool in_order(const RepairItem &a, const RepairItem &b)
{
	return a.distance != b.distance ? a.distance < b.distance : a.rank < b.rank;
}

// Do timestamps never go back, from the first place to the last? Then nothing was moved before
// something older, whatever was moved.
bool stamps_rise(const RepairItem *items, const RepairGap *gaps, uint32_t n)
{
	uint32_t newest = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!gaps[i].empty()) {
			if (gaps[i].low < newest)
				return false;
			newest = gaps[i].high;
		}
		if (!items[i].has_stamp)
			continue;
		if (items[i].stamp < newest)
			return false;
		newest = items[i].stamp;
	}
	return gaps[n].empty() || gaps[n].low >= newest;
}

// May the segment in place i go before the one in front of it, `before`, and that one behind it and
// behind what stands between them?
bool may_swap(const RepairItem &before, const RepairItem &item, const RepairGap &between,
              uint32_t i)
{
	if (item.distance >= before.distance)
		return false;
	if (item.has_stamp && before.has_stamp && item.stamp > before.stamp)
		return false;
	if (between.empty())
		return true;
	if (item.has_stamp && item.stamp > between.low)
		return false;
	return !before.has_stamp || before.rank >= i || between.high <= before.stamp;
}

void insert_one_by_one(RepairItem *items, const RepairGap *gaps, uint32_t n)
{
	std::sort(items, items + n,
	          [](const RepairItem &a, const RepairItem &b) { return a.rank < b.rank; });
	for (uint32_t next = 1; next < n; next++) {
		const uint32_t last = next > max_steps ? next - max_steps : 0;
		for (uint32_t i = next; i > last && may_swap(items[i - 1], items[i], gaps[i], i); i--)
			std::swap(items[i - 1], items[i]);
	}
}

// `n` segments of one flow's data between two barriers, in order of arrival: their slots in
// scratch.ids, copied to scratch.slots; what stands before each in scratch.gaps.
uint32_t deal(Slot *slots, uint32_t n, const RepairScratch &scratch)
{
	RepairItem *const items = scratch.items;
	if (std::is_sorted(items, items + n, in_order))
		return 0;
	std::sort(items, items + n, in_order);
	if (!stamps_rise(items, scratch.gaps, n))
		insert_one_by_one(items, scratch.gaps, n);
	uint32_t moved = 0;
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t rank = items[i].rank;
		if (rank == i)
			continue;
		moved++;
		const Slot &from = scratch.slots[rank];
		Slot &to = slots[scratch.ids[i]];
		to.packet = from.packet;
		to.data = from.data;
		to.arrival = from.arrival;
		to.wire = from.wire;
		to.captured = from.captured;
	}
	return moved;
}

constexpr uint32_t distance(uint32_t value, uint32_t base)
{
	return value - base + (1u << 31);
}

} // namespace

uint32_t repair_tcp(Slot *slots, std::span<const Segment> segments, RepairScratch scratch)
{
	uint32_t moved = 0, n = 0;
	uint32_t first_sequence = 0, first_stamp = 0;
	bool any_stamp = false;
	uint64_t flow = 0;
	scratch.gaps[0] = {};
	const auto flush = [&] {
		moved += deal(slots, n, scratch);
		n = 0;
		any_stamp = false;
		scratch.gaps[0] = {};
	};
	for (const Segment &segment : segments) {
		if (!segment.tcp)
			continue;
		if (segment.flow != flow || segment.barrier)
			flush();
		flow = segment.flow;
		if (segment.barrier)
			continue;
		if (segment.has_timestamp && !any_stamp) {
			any_stamp = true;
			first_stamp = segment.timestamp;
		}
		const uint32_t stamp = distance(segment.timestamp, first_stamp);
		if (!segment.data) {
			RepairGap &gap = scratch.gaps[n];
			if (segment.has_timestamp) {
				gap.low = std::min(gap.low, stamp);
				gap.high = std::max(gap.high, stamp);
			}
			continue;
		}
		if (n == 0)
			first_sequence = segment.sequence;
		scratch.ids[n] = segment.slot;
		scratch.slots[n] = slots[segment.slot];
		scratch.items[n] = {distance(segment.sequence, first_sequence), stamp, n,
		                    segment.has_timestamp};
		scratch.gaps[++n] = {};
	}
	flush();
	return moved;
}

} // namespace reframer::stage
