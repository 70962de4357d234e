// Packets in: the header lines of a chunk are fetched, then read, then each packet is placed.
#include "reframer/slots/slot_stage.hpp"

#include <algorithm>

namespace reframer::stage {

void SlotStage::hold(const reframer_burst &burst, uint32_t total)
{
	const bool nic = burst.hash != nullptr;
	if (nic_hash_ != nic && total > 0) [[unlikely]] {
		// The same flow has another hash from now on.
		make_all_ready(REFRAMER_BY_DRAIN);
		nic_hash_ = nic;
	}
	for (uint32_t first = 0; first < total; first += chunk) {
		take_burst(burst, first, std::min(chunk, total - first));
		if (over_capacity()) [[unlikely]]
			relieve();
	}
}

void SlotStage::take_burst(const reframer_burst &burst, uint32_t first, uint32_t count)
{
	const uint8_t *const *const data = burst.data + first;
	const uint32_t *const captured = burst.captured + first;
	const uint32_t *const wire = (burst.wire ? burst.wire : burst.captured) + first;
	const uint32_t *const given = burst.hash ? burst.hash + first : nullptr;
	for (uint32_t i = 0; i < count; i++)
		prefetch_header(data[i]);
	Arrivals arrivals;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t id = arrivals.id[i] = free_.take();
		Slot &slot = slots_[id];
		slot.packet = burst.packets[first + i];
		slot.arrival = now_;
		slot.wire = wire[i];
		slot.data = data[i];
		slot.captured = captured[i];
		bytes += wire[i];
	}
	fragments_ = 0;
	stats_.unparsed += for_key(key_, [&]<packet::KeyKind kind>() {
		uint32_t unparsed = 0;
		for (uint32_t i = 0; i < count; i++) {
			const packet::Digest digest =
				packet::classify<true>(data[i], captured[i], link_, kind, seed_);
			unparsed += digest.traits & packet::trait_unparsed;
			arrivals.traits[i] = digest.traits;
			arrivals.hash[i] = given ? given[i] : digest.hash;
			if (digest.traits & packet::trait_fragment && !given) [[unlikely]] {
				fragment_[i] = packet::read_fragment(data[i], captured[i], link_, kind, seed_);
				fragments_ |= uint64_t{1} << i;
			}
		}
		return unparsed;
	});
	static_assert(packet::trait_unparsed == 1, "added up as a number");
	waiting_ += count;
	waiting_bytes_ += bytes;
	held_bytes_ += bytes;
	stats_.bytes_in += bytes;
	place(arrivals, count);
}

// Buckets, whose lines are then on their way, and from there to the groups.
void SlotStage::place(Arrivals &arrivals, uint32_t count)
{
	if (fragments_) [[unlikely]]
		return place_fragments(arrivals, count);
	for (uint32_t i = 0; i < count; i++) // vectorised by the compiler
		arrivals.bucket[i] = table_.bucket_of(arrivals.hash[i]);
	for (uint32_t i = 0; i < count; i++)
		table_.prefetch(arrivals.bucket[i]);
	for (uint32_t i = 0; i < count; i++)
		place_by_policy(arrivals.id[i], arrivals.hash[i], arrivals.bucket[i], arrivals.traits[i]);
}

// Full: what is due next leaves early, and nothing is ever refused or dropped for it.
void SlotStage::relieve()
{
	while (over_capacity()) {
		Fifo *fifo = first_due(UINT64_MAX);
		if (!fifo)
			break;
		make_ready(fifo->head_id(), REFRAMER_BY_CAPACITY);
	}
}

} // namespace reframer::stage
