// Packets in, each to its group. With a NIC hash they are placed at once and their headers stay
// untouched; else headers.cpp comes first.
#include "reframer/stage.hpp"

#include <algorithm>
#include <bit>

namespace reframer::stage {

uint64_t Stage::advance_clock(uint64_t caller_now)
{
	uint64_t now = caller_now + clock_offset_;
	if (now < now_) [[unlikely]] {
		stats_.clock_backwards++;
		if (now_ - now > clock_origin_step_ns)
			clock_offset_ = now_ - caller_now;
		now = now_;
	}
	now_ = now;
	return now;
}

uint32_t Stage::push(const reframer_burst &burst, uint64_t caller_now)
{
	advance_clock(caller_now);
	if (!burst.hash || !plain_ || keeps_data_) {
		if (!burst.data || !burst.captured)
			return 0;
	}
	if (policy_ == REFRAMER_BURST && groups_ > 0)
		make_all_ready(REFRAMER_BY_DEADLINE);
	idle_ = false;

	const uint32_t total = std::min(burst.count, free_.top);
	if (straight_on_ && waiting_ + ready_packets_ == 0 && push_straight(burst, total))
		return total;
	const bool unread = !burst.hash || !plain_;
	for (uint32_t first = 0; first < total; first += chunk) {
		const uint32_t count = std::min(chunk, total - first);
		if (unread) {
			push_unread(burst, first, count);
		} else {
			read_all_headers();
			push_hashed(burst, first, count);
		}
		if (waiting_ > max_packets_ || waiting_bytes_ > max_bytes_) [[unlikely]]
			relieve();
	}
	stats_.packets_held_max = std::max(stats_.packets_held_max, waiting_);
	stats_.packets_in += total;
	return total;
}

void Stage::push_hashed(const reframer_burst &burst, uint32_t first, uint32_t count)
{
	void *const *packets = burst.packets + first;
	const uint32_t *hash = burst.hash + first;
	const uint32_t *lengths = burst.wire ? burst.wire : burst.captured;
	Arrivals arrivals;
	for (uint32_t i = 0; i < count; i++) // vectorised by the compiler
		arrivals.bucket[i] = table_.bucket_of(hash[i]);
	const uint32_t *free = free_.stack + free_.top;
	free_.top -= count;
	const uint64_t now = now_;
	static constexpr uint32_t no_lengths[chunk] = {};
	const uint32_t *const wires = lengths ? lengths + first : no_lengths;
	uint64_t bytes = 0;
	Slot *const slots = slots_;
	for (uint32_t i = 0; i < count; i++) {
		table_.prefetch(arrivals.bucket[i]);
		const uint32_t id = *--free;
		arrivals.id[i] = id;
		arrivals.hash[i] = hash[i];
		Slot &slot = slots[id];
		slot.packet = packets[i];
		slot.arrival = now;
		slot.wire = wires[i];
		bytes += wires[i];
	}
	if (keeps_data_)
		for (uint32_t i = 0; i < count; i++) {
			slots_[arrivals.id[i]].data = burst.data[first + i];
			slots_[arrivals.id[i]].captured = burst.captured[first + i];
		}
	waiting_ += count;
	waiting_bytes_ += bytes;
	held_bytes_ += bytes;
	stats_.bytes_in += bytes;
	place_plain(arrivals, count);
}

// The common case: no policy looks at the packet. What changes with every packet is kept in
// registers, and written back before anything else may look at it.
void Stage::place_plain(const Arrivals &arrivals, uint32_t count)
{
	Slot *const slots = slots_;
	Fifo &fifo = fifos_[0];
	fifo.make_room(slots, count);
	const uint64_t delay = fifo.delay;
	const uint32_t max_burst = max_burst_;
	uint64_t last_hash = last_hash_in_;
	const uint32_t fifo_tail = fifo.tail;
	uint32_t runs = 0, tail = fifo_tail;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t id = arrivals.id[i], hash = arrivals.hash[i], index = arrivals.bucket[i];
		runs += hash != last_hash;
		last_hash = hash;
		Bucket &bucket = table_.bucket(index);
		auto [same, vacant] = GroupTable::look(bucket, hash);
		if (same) {
			const uint32_t head = bucket.head[std::countr_zero(same)];
			Slot &group = slots[head];
			slots[group.tail].next = id;
			group.tail = id;
			if (++group.count >= max_burst) [[unlikely]]
				make_ready(head, REFRAMER_BY_BURST);
			continue;
		}
		if (!vacant) [[unlikely]] {
			fifo.tail = tail;
			make_way(index);
			vacant = GroupTable::look(bucket, hash).vacant;
		}
		const auto way = static_cast<uint32_t>(std::countr_zero(vacant));
		Slot &slot = slots[id];
		slot.deadline = slot.arrival + delay;
		slot.hash = hash;
		slot.tail = id;
		slot.count = 1;
		slot.place = GroupTable::place_of(index, way);
		slot.link = tail;
		fifo.put(tail++, id);
		bucket.hash[way] = hash;
		bucket.head[way] = id;
		if (max_burst == 1) [[unlikely]]
			make_ready(id, REFRAMER_BY_BURST);
	}
	groups_ += tail - fifo_tail;
	fifo.tail = tail;
	last_hash_in_ = last_hash;
	stats_.runs_in += runs;
}

// Full: what is due next leaves early, and nothing is ever refused or dropped for it.
void Stage::relieve()
{
	read_all_headers();
	while (waiting_ > max_packets_ || waiting_bytes_ > max_bytes_) {
		Fifo *fifo = first_due(UINT64_MAX);
		if (!fifo)
			break;
		make_ready(fifo->head_id(), REFRAMER_BY_CAPACITY);
	}
}

} // namespace reframer::stage
