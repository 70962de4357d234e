#include "rsspp/handover.hpp"

#include <algorithm>

namespace reframer::rsspp {

HoldQueues::HoldQueues(uint32_t nb_buckets, uint32_t capacity)
    : slots(capacity), head(nb_buckets, none), tail(nb_buckets, none), busy_at(nb_buckets)
{
	busy.reserve(nb_buckets);
	for (uint32_t i = 0; i < capacity; i++)
		slots[i].next = i + 1 < capacity ? i + 1 : none;
}

bool HoldQueues::push(uint32_t bucket, void *packet, uint32_t hash)
{
	if (free_slot == none)
		return false;
	const uint32_t slot = free_slot;
	free_slot = slots[slot].next;
	slots[slot] = {packet, hash, none};
	if (head[bucket] == none) {
		head[bucket] = slot;
		busy_at[bucket] = uint32_t(busy.size());
		busy.push_back(uint16_t(bucket));
	} else {
		slots[tail[bucket]].next = slot;
	}
	tail[bucket] = slot;
	nb_held++;
	return true;
}

void HoldQueues::pop(uint32_t bucket)
{
	const uint32_t slot = head[bucket];
	head[bucket] = slots[slot].next;
	slots[slot].next = free_slot;
	free_slot = slot;
	nb_held--;
	if (head[bucket] == none) {
		const uint16_t last = busy.back();
		busy[busy_at[bucket]] = last;
		busy_at[last] = busy_at[bucket];
		busy.pop_back();
	}
}

} // namespace reframer::rsspp
