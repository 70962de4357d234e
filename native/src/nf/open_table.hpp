// A hash table with open addressing: key and state in one half line, linear probing, at most half
// full, so that nearly every lookup ends in the line that its prefetch brought.
#pragma once

#include "base/region.hpp"
#include "nf/context.hpp"

#include <cstdint>

namespace reframer::nf {

template <typename State> class OpenTable {
public:
	// `capacity` flows, a power of two; twice as many slots.
	explicit OpenTable(uint32_t capacity) : slots_(size_t{capacity} * 2), capacity_(capacity) {}

	void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & mask()], 1); }

	// Null where the key is new and the table full. `created` says whether the state is new (zero).
	State *find_or_insert(const Ipv4Tuple &key, uint64_t hash, bool &created)
	{
		created = false;
		for (size_t i = hash & mask();; i = (i + 1) & mask()) {
			Slot &s = slots_[i];
			if (s.key == key)
				return &s.state;
			if (s.key.used)
				continue;
			if (size_ == capacity_)
				return nullptr;
			size_++;
			created = true;
			s.key = key;
			return &s.state;
		}
	}
	// Null where the key is not there.
	const State *find(const Ipv4Tuple &key, uint64_t hash) const
	{
		for (size_t i = hash & mask();; i = (i + 1) & mask()) {
			if (slots_[i].key == key)
				return &slots_[i].state;
			if (!slots_[i].key.used)
				return nullptr;
		}
	}
	uint32_t size() const { return size_; }
	template <typename Visitor> void each(Visitor visit) const
	{
		for (size_t i = 0; i < slots_.size(); i++)
			if (slots_[i].key.used)
				visit(slots_[i].key, slots_[i].state);
	}

private:
	struct alignas(32) Slot {
		Ipv4Tuple key;
		State state;
	};
	static_assert(sizeof(Slot) == 32); // a slot never lies on two lines

	size_t mask() const { return slots_.size() - 1; }

	base::Region<Slot> slots_;
	uint32_t capacity_;
	uint32_t size_ = 0;
};

} // namespace reframer::nf
