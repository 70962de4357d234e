// All flows seen, by 64-bit hash of the flow: one 128-byte entry a flow. Grows with the flows, not
// with the packets.
#pragma once

#include "base/distinct.hpp"
#include "base/pages.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace reframer::lab {

// What Reframer's gain is computed for: native, 10, 40, 100 Gbit/s times 16, 64, 128 us.
inline constexpr size_t nb_rates = 4;
inline constexpr size_t nb_delays = 3;
inline constexpr size_t nb_cells = nb_rates * nb_delays;

struct alignas(64) FlowEntry {
	std::array<uint64_t, nb_cells> deadline; // when the flow's held group leaves, per cell
	uint64_t hash;        // the flow: 64 bits tell 16 M flows apart, but for 1 in 10^5 tables
	uint64_t last_packet; // index of its latest packet
	uint64_t spare[2];
};
static_assert(sizeof(FlowEntry) == 128, "two cache lines a flow");

class FlowTable {
public:
	FlowTable() : slots_(initial_slots) {}

	static constexpr uint32_t none = UINT32_MAX;

	void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]); }

	uint32_t find(uint64_t hash) const
	{
		const size_t mask = slots_.size() - 1;
		for (size_t at = hash & mask;; at = (at + 1) & mask) {
			const Slot &slot = slots_[at];
			if (slot.entry_plus_one == 0)
				return none;
			if (slot.tag == tag_of(hash) && (*this)[slot.entry_plus_one - 1].hash == hash)
				return slot.entry_plus_one - 1;
		}
	}

	// `hash` is not in the table.
	uint32_t insert(uint64_t hash)
	{
		if (2 * (size_ + 1) > slots_.size())
			grow();
		if (size_ % chunk_entries == 0 && size_ / chunk_entries == chunks_.size())
			add_chunk();
		const uint32_t index = static_cast<uint32_t>(size_++);
		FlowEntry &entry = (*this)[index];
		entry = {};
		entry.hash = hash;
		place(hash, index);
		return index;
	}

	FlowEntry &operator[](uint32_t index)
	{
		return reinterpret_cast<FlowEntry *>(
			chunks_[index / chunk_entries].data())[index % chunk_entries];
	}
	const FlowEntry &operator[](uint32_t index) const
	{
		return reinterpret_cast<const FlowEntry *>(
			chunks_[index / chunk_entries].data())[index % chunk_entries];
	}
	size_t size() const { return size_; }
	// For another capture: keeps the memory of the flows, and is as quick as a new one.
	void start_over()
	{
		slots_.assign(initial_slots, Slot{});
		size_ = 0;
	}
	// Keeps the memory.
	void forget_all()
	{
		slots_.assign(slots_.size(), Slot{});
		size_ = 0;
	}

private:
	struct Slot {
		uint32_t tag = 0;
		uint32_t entry_plus_one = 0; // 0: free
	};

	static constexpr size_t initial_slots = 1 << 12;
	static constexpr size_t chunk_entries = 1 << 14; // 2 MiB: one huge page

	static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

	void place(uint64_t hash, uint32_t index)
	{
		const size_t mask = slots_.size() - 1;
		size_t at = hash & mask;
		while (slots_[at].entry_plus_one != 0)
			at = (at + 1) & mask;
		slots_[at] = {tag_of(hash), index + 1};
	}

	void grow()
	{
		slots_.assign(slots_.size() * 2, Slot{});
		for (uint32_t i = 0; i < size_; i++)
			place((*this)[i].hash, i);
	}

	void add_chunk();

	std::vector<Slot> slots_;
	std::vector<base::Pages> chunks_;
	size_t size_ = 0;
};

// How many different 64-bit hashes were added, within about 1 %, in 16 KiB (HyperLogLog; Flajolet
// et al. 2007).
class DistinctCounter {
public:
	void add(uint64_t hash);
	double estimate() const { return base::estimate_distinct(rank_); }

private:
	static constexpr int index_bits = 14;
	std::array<uint8_t, 1 << index_bits> rank_{};
};

} // namespace reframer::lab
