// Where held packets are: one cache line a packet, in one array. A group is a chain of slots, and
// its first slot also says what is known of the group, so that a group costs no memory of its own.
#pragma once

#include "reframer/group_table.hpp"

#include <cstddef>
#include <cstdint>

namespace reframer::stage {

struct alignas(64) Slot {
	void *packet;
	const uint8_t *data; // kept for policies that read headers again at release
	uint64_t arrival;    // of the push, in the stage's clock
	uint32_t next;       // packet of the same group that came next; valid up to Slot::tail
	uint32_t wire;
	// The first packet of a group only:
	uint64_t deadline;
	uint32_t hash;
	uint32_t tail; // last packet of the group
	uint32_t count;
	uint32_t place;    // waiting: see place_of(); ready: the reason
	uint32_t link;     // waiting: where in its queue; ready: next ready group
	uint32_t captured; // any packet
};
static_assert(sizeof(Slot) == 64 && offsetof(Slot, deadline) == 32,
              "a packet that joins a group touches half a line, one that starts a group one line");

// Slots not in use, last in first out: the lines in play are as few as the packets that are held.
// Loops over a burst keep `top` in a register.
struct FreeSlots {
	void init(uint32_t *storage, uint32_t nb_slots)
	{
		stack = storage;
		top = nb_slots;
		for (uint32_t i = 0; i < nb_slots; i++)
			stack[i] = nb_slots - 1 - i;
	}
	uint32_t take() { return stack[--top]; }
	void give(uint32_t id) { stack[top++] = id; }

	uint32_t *stack = nullptr;
	uint32_t top = 0; // how many
};

} // namespace reframer::stage
