// What is done to a group between its wait and its release, when asked for: ACKs thinned, TCP data
// put in order. The only place where the stage reads headers a second time.
#include "reframer/slots/slot_stage.hpp"

#include <algorithm>

namespace reframer::stage {

// The first packet's slot stays the first, so the group stays where it is linked.
void SlotStage::revise(uint32_t id)
{
	Slot &group = slots_[id];
	uint32_t n = 0, at = id;
	for (; n < group.count; n++) {
		revision_.segments[n] = read_segment(slots_, at, n, link_, key_, seed_);
		revision_.ids[n] = at;
		at = slots_[at].next;
	}
	std::sort(revision_.segments, revision_.segments + n, [](const Segment &a, const Segment &b) {
		return a.flow != b.flow ? a.flow < b.flow : a.position < b.position;
	});
	const std::span<const Segment> segments(revision_.segments, n);
	if (options_ & REFRAMER_OPT_TCP_REPAIR)
		stats_.repaired += repair_tcp(slots_, segments, revision_.scratch);
	// Thinned packets that the caller does not fetch must not use up the slots.
	if (!(options_ & REFRAMER_OPT_ACK_THINNING) || thinned_count_ + n > thinned_room(max_packets_))
		return;
	std::fill_n(revision_.taken, n, uint8_t{0});
	if (thin_acks(segments, revision_.taken) == 0)
		return;
	uint32_t kept = id;
	for (uint32_t i = 1; i < n; i++) {
		const uint32_t slot = revision_.ids[i];
		if (!revision_.taken[i]) {
			slots_[kept].next = slot;
			kept = slot;
			continue;
		}
		group.count--;
		ready_packets_--;
		held_bytes_ -= slots_[slot].wire;
		stats_.packets_thinned++;
		thinned_count_++;
		if (thinned_head_ == none)
			thinned_head_ = slot;
		else
			slots_[thinned_tail_].next = slot;
		thinned_tail_ = slot;
	}
}

uint32_t SlotStage::take_thinned(void **out, uint32_t room)
{
	const uint32_t n = std::min(room, thinned_count_);
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t slot = thinned_head_;
		out[i] = slots_[slot].packet;
		thinned_head_ = slots_[slot].next;
		free_.give(slot);
	}
	thinned_count_ -= n;
	if (thinned_count_ == 0)
		thinned_head_ = none;
	return n;
}

} // namespace reframer::stage
