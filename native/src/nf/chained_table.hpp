// A hash table with separate chaining: an array of heads and entries in the order of arrival. The
// plain design of the original's era; a lookup reads a head and at least one entry.
#pragma once

#include "base/region.hpp"
#include "nf/context.hpp"

#include <cstdint>

namespace reframer::nf {

template <typename State> class ChainedTable {
public:
	static constexpr uint32_t none = ~uint32_t{0};

	// `capacity` is a power of two.
	explicit ChainedTable(uint32_t capacity) : heads_(capacity), entries_(capacity)
	{
		for (uint32_t i = 0; i < capacity; i++)
			heads_[i] = none;
	}

	// The entry's index; `none` where the key is new and the table full. A new state is zero.
	uint32_t find_or_insert(const Ipv4Tuple &key, uint64_t hash)
	{
		if (uint32_t i = find(key, hash); i != none)
			return i;
		uint32_t &head = heads_[hash & (heads_.size() - 1)];
		if (size_ == entries_.size())
			return none;
		Entry &e = entries_[size_];
		e.key = key;
		e.next = head;
		head = size_;
		return size_++;
	}
	uint32_t find(const Ipv4Tuple &key, uint64_t hash) const
	{
		uint32_t i = heads_[hash & (heads_.size() - 1)];
		while (i != none && !(entries_[i].key == key))
			i = entries_[i].next;
		return i;
	}
	const Ipv4Tuple &key(uint32_t i) const { return entries_[i].key; }
	State &state(uint32_t i) { return entries_[i].state; }
	const State &state(uint32_t i) const { return entries_[i].state; }
	uint32_t size() const { return size_; }

private:
	struct alignas(64) Entry {
		Ipv4Tuple key;
		uint32_t next;
		State state;
	};
	base::Region<uint32_t> heads_;
	base::Region<Entry> entries_;
	uint32_t size_ = 0;
};

} // namespace reframer::nf
