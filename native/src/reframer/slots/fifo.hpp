// Groups that wait, in the order in which they are due. All groups of a queue wait equally long,
// so appending keeps that order and only the head is ever looked at (NSDI'22; the original's
// active list). A ring and not a list: the next heads are known, and can be prefetched.
#pragma once

#include "reframer/slots/slots.hpp"

#include <bit>
#include <cstdint>

namespace reframer::stage {

class Fifo {
public:
	// Twice the groups that may wait: when the ring is full at least half of it are gaps, so that
	// closing them costs a constant per group.
	static uint32_t nb_entries_for(uint32_t nb_groups) { return std::bit_ceil(nb_groups * 2); }

	void init(uint32_t *storage, uint32_t nb_entries, uint64_t delay_ns)
	{
		ring_ = storage;
		mask_ = nb_entries - 1;
		delay = delay_ns;
	}

	bool empty() const { return head == tail; }
	uint32_t at(uint32_t position) const { return ring_[position & mask_]; }

	// Room for `count` more groups; the ring is large enough once gaps are closed.
	void make_room(Slot *slots, uint32_t count)
	{
		if (tail - head + count > mask_) [[unlikely]]
			close_gaps(slots);
	}
	void append(Slot *slots, uint32_t id)
	{
		make_room(slots, 1);
		put(tail, id);
		slots[id].link = tail++;
	}
	void put(uint32_t position, uint32_t id) { ring_[position & mask_] = id; }

	// A group leaves from the middle; what is left is a gap that pop() and head_id() pass over.
	void remove(uint32_t position) { ring_[position & mask_] = none; }

	// Does the group wait there? The position may be one of long ago.
	bool holds(uint32_t position, uint32_t id) const
	{
		return position - head < tail - head && at(position) == id;
	}

	// First group, or `none`.
	uint32_t head_id()
	{
		while (head != tail && at(head) == none)
			head++;
		return head == tail ? none : at(head);
	}
	uint32_t peek_id() const
	{
		uint32_t position = head;
		while (position != tail && at(position) == none)
			position++;
		return position == tail ? none : at(position);
	}

	uint64_t delay = 0;
	uint32_t head = 0, tail = 0; // positions; they run on and wrap

private:
	void close_gaps(Slot *slots)
	{
		uint32_t to = head;
		for (uint32_t from = head; from != tail; from++) {
			const uint32_t id = at(from);
			if (id == none)
				continue;
			ring_[to & mask_] = id;
			slots[id].link = to++;
		}
		tail = to;
	}

	uint32_t *ring_ = nullptr;
	uint32_t mask_ = 0;
};

} // namespace reframer::stage
