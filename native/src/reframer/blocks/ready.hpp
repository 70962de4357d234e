// What leaves ahead of its turn, or was cut by the end of the caller's array: copied out of the ring,
// whose blocks are then free, and given out first, in the order in which it came here.
#pragma once

#include "reframer/blocks/blocks.hpp"

#include <cstdint>

namespace reframer::stage {

struct ReadyGroup {
	uint32_t hash, count;
	reframer_reason reason;
};

// Two rings; who fills them knows that there is room.
struct Ready {
	Entry *entries = nullptr;
	ReadyGroup *groups = nullptr;
	uint32_t mask = 0; // of both
	uint32_t entry_head = 0, entry_tail = 0, group_head = 0, group_tail = 0;

	void init(Entry *entry_storage, ReadyGroup *group_storage, uint32_t nb_slots)
	{
		entries = entry_storage;
		groups = group_storage;
		mask = nb_slots - 1;
	}
	void add(const Entry &entry) { entries[entry_tail++ & mask] = entry; }
	void close(const ReadyGroup &group) { groups[group_tail++ & mask] = group; }
	bool empty() const { return group_head == group_tail; }
	ReadyGroup &front() { return groups[group_head & mask]; }
};

} // namespace reframer::stage
