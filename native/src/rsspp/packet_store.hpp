// Packets that wait inside a core: first-in first-out lists over one arena of slots, so that all
// lists together are bounded by one number.
#pragma once

#include <cstdint>
#include <vector>

namespace reframer::rsspp {

class PacketStore {
public:
	static constexpr uint32_t none = UINT32_MAX;
	struct Slot {
		void *packet;
		uint32_t hash;
		uint32_t next;
	};
	struct List {
		uint32_t head = none, tail = none;
		uint32_t count = 0;
		bool empty() const { return head == none; }
	};

	explicit PacketStore(uint32_t capacity) : slots(capacity)
	{
		for (uint32_t i = 0; i < capacity; i++)
			slots[i].next = i + 1 < capacity ? i + 1 : none;
	}

	bool push(List &list, void *packet, uint32_t hash)
	{
		if (free_slot == none)
			return false;
		const uint32_t slot = free_slot;
		free_slot = slots[slot].next;
		slots[slot] = {packet, hash, none};
		append(list, slot);
		nb_used++;
		return true;
	}
	Slot pop(List &list)
	{
		const uint32_t slot = unlink(list);
		const Slot taken = slots[slot];
		slots[slot].next = free_slot;
		free_slot = slot;
		nb_used--;
		return taken;
	}
	// Undoes a pop.
	void push_front(List &list, void *packet, uint32_t hash)
	{
		const uint32_t slot = free_slot;
		free_slot = slots[slot].next;
		slots[slot] = {packet, hash, list.head};
		if (list.empty())
			list.tail = slot;
		list.head = slot;
		list.count++;
		nb_used++;
	}
	const Slot &front(const List &list) const { return slots[list.head]; }
	// For the core that empties another one's list, without a change to either.
	const Slot &at(uint32_t slot) const { return slots[slot]; }

	// The packets of `from` for which `choose` names another list go to the end of that.
	template <class Choose> void sort_out(List &from, Choose choose)
	{
		List rest;
		while (!from.empty()) {
			const uint32_t slot = unlink(from);
			slots[slot].next = none;
			List *to = choose(slots[slot].hash);
			append(to ? *to : rest, slot);
		}
		from = rest;
	}
	// All slots of a list, at once.
	void clear(List &list)
	{
		if (list.empty())
			return;
		slots[list.tail].next = free_slot;
		free_slot = list.head;
		nb_used -= list.count;
		list = {};
	}

	bool full() const { return free_slot == none; }
	uint32_t size() const { return nb_used; }

private:
	uint32_t unlink(List &list)
	{
		const uint32_t slot = list.head;
		list.head = slots[slot].next;
		list.count--;
		return slot;
	}
	void append(List &list, uint32_t slot)
	{
		if (list.head == none)
			list.head = slot;
		else
			slots[list.tail].next = slot;
		list.tail = slot;
		list.count++;
	}

	std::vector<Slot> slots;
	uint32_t free_slot = 0;
	uint32_t nb_used = 0;
};

// Packets of buckets that this core may not serve yet, one list a bucket.
class HoldQueues {
public:
	HoldQueues(uint32_t nb_buckets, PacketStore &store)
		: store(store), lists(nb_buckets), busy_at(nb_buckets)
	{
		busy.reserve(nb_buckets);
	}

	bool empty(uint32_t bucket) const { return lists[bucket].empty(); }
	bool push(uint32_t bucket, void *packet, uint32_t hash)
	{
		const bool first = lists[bucket].empty();
		if (!store.push(lists[bucket], packet, hash))
			return false;
		if (first) {
			busy_at[bucket] = uint32_t(busy.size());
			busy.push_back(uint16_t(bucket));
		}
		return true;
	}
	const PacketStore::Slot &front(uint32_t bucket) const { return store.front(lists[bucket]); }
	void pop(uint32_t bucket)
	{
		store.pop(lists[bucket]);
		if (!lists[bucket].empty())
			return;
		const uint16_t last = busy.back();
		busy[busy_at[bucket]] = last;
		busy_at[last] = busy_at[bucket];
		busy.pop_back();
	}
	// Buckets that hold packets, in no order.
	const std::vector<uint16_t> &buckets() const { return busy; }

private:
	PacketStore &store;
	std::vector<PacketStore::List> lists;
	std::vector<uint16_t> busy;
	std::vector<uint32_t> busy_at; // bucket -> index in busy
};

} // namespace reframer::rsspp
