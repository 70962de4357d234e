// The table, its groups, and where a digest is at home.
#pragma once

#include "conntrack/digest.hpp"
#include "conntrack/layout.hpp"
#include "conntrack/memory.hpp"
#include "reframer/conntrack.h"

#include <memory>
#include <vector>

namespace reframer::conntrack {

// Load at which a group starts to grow. Above it homes overflow often enough to slow hits down.
constexpr double grow_at_load = 0.88;
// New size over old. Small steps keep memory near what is used: at 36 bytes a slot, a step of 5/4
// from 88 % leaves 48 bytes a flow right after growth; doubling would leave 82. The price is that
// an entry moves about four times in its table's life instead of once, some 10 ns each.
constexpr uint64_t grow_numerator = 5, grow_denominator = 4;
// Old buckets moved for each insert. What is left of the old half fills while it empties: by one slot
// in 32, to 91 %. (By one in 16 with one bucket an insert: that crossed crowded_load with a fifth of
// the half unmoved, and one insert had to move it.)
constexpr uint32_t moves_per_insert = 2;
static_assert(1.0 / 16 / moves_per_insert + 0.88 < 0.93, "growth ends before the old half is crowded");
constexpr uint32_t smallest_group = 4; // buckets
// Load that growth in small steps never reaches. A call that may (many keys, small table) grows
// the group at once instead.
constexpr double crowded_load = 0.93;
// Spill home at which a group that is half full grows early: one insert in 10^4 gets there at 88 %.
constexpr uint32_t crowded_spill = 3;
// A home with more keys at spill homes than this is one that NIC hashes collide in: its keys are
// looked for at their spill homes first.
constexpr uint32_t many_spilled = 16;

struct Generation {
	Header *headers = nullptr;
	uint8_t *entries = nullptr;
	uint32_t nb_buckets = 0; // homes; max_distance more follow them
	Pages header_pages, entry_pages;

	bool map(uint32_t buckets, uint32_t stride);
	uint32_t nb_all() const { return nb_buckets ? nb_buckets + max_distance : 0; }
	size_t bytes() const { return header_pages.bytes() + entry_pages.bytes(); }
	bool holds(const uint8_t *entry, uint32_t stride) const
	{
		return entry >= entries && entry < entries + size_t{nb_all()} * slots_per_bucket * stride;
	}
};

// Positions that so many keys share that most live at spill homes: what keys with one NIC hash do.
struct Flooded {
	static constexpr uint32_t most = 4; // further ones take the place of the oldest
	uint32_t position[most] = {};
	uint32_t nb = 0;    // known
	uint32_t oldest = 0;

	bool has(uint32_t p) const
	{
		bool any = false;
		for (uint32_t i = 0; i < most; i++)
			any |= position[i] == p && i < nb;
		return any;
	}
	void add(uint32_t p)
	{
		if (has(p))
			return;
		position[nb < most ? nb++ : oldest++ % most] = p;
	}
	void forget(uint32_t p)
	{
		for (uint32_t i = 0; i < nb; i++)
			if (position[i] == p)
				position[i--] = position[--nb];
	}
};

} // namespace reframer::conntrack

// A movable part of a table: everything about the keys of one RETA entry, or of all.
struct conntrack_group {
	// Homes [0, frontier) of `now` have moved to `next`. 0 when the group is not growing.
	reframer::conntrack::Generation now;
	reframer::conntrack::Generation next;
	uint32_t frontier = 0;
	uint32_t debt = 0;          // buckets to move before the next insert
	uint64_t flows = 0;
	uint64_t away = 0, spilled = 0;
	uint64_t grow_at = 0;       // flows
	uint64_t swept_at = 0;      // tick at which the sweep under way began
	uint32_t sweep_next = 0;    // bucket, those of `now` first, then those of `next`
	uint32_t index = 0;         // which group of its table
	uint64_t tick = 0;          // latest one seen
	uint64_t seed = 0;
	uint32_t key_size = 0, state_size = 0, nb_groups = 0;
	uint64_t tick_ns = 0;
	reframer::conntrack::Flooded flooded;

	bool next_touched = false;  // all of its memory is there, not only up to the frontier

	bool growing() const { return next.nb_buckets != 0; }
};

namespace reframer::conntrack {

struct Place {
	conntrack_group *group;
	Generation *generation;
	uint32_t bucket;

	Header &header() const { return generation->headers[bucket]; }
};

struct Operations;

inline void set_bit(uint16_t &bits, uint32_t slot, bool on)
{
	auto bit = static_cast<uint16_t>(1u << slot);
	bits = static_cast<uint16_t>(on ? bits | bit : bits & ~bit);
}

} // namespace reframer::conntrack

struct conntrack_table {
	// Read for every key.
	conntrack_group **groups = nullptr;
	uint32_t group_bits = 0;
	uint32_t stride = 0;
	uint32_t key_size = 0, state_size = 0;
	uint32_t flags = 0;
	uint64_t tick_ns = 0;
	uint64_t tick = 0;                // latest one seen
	uint16_t arm[CONNTRACK_NB_CLASSES] = {};       // ticks from a refresh to the first deadline
	uint32_t timeout[CONNTRACK_NB_CLASSES] = {};   // ticks; 0 never
	reframer::conntrack::HashKey hash_key = {};
	const reframer::conntrack::Operations *operations = nullptr;

	// Read now and then.
	uint64_t flows = 0, max_flows = 0;
	uint64_t room = 0;                // inserts before ensure_room() must look at the groups again
	uint64_t check_sweeps_at = 0;     // tick
	uint32_t sweep_group = 0;
	uint16_t protected_classes = 0;
	uint16_t patient_classes = 0;     // timeouts that one deadline does not cover
	uint64_t seed = 0;
	conntrack_removed_fn on_removed = nullptr;
	void *context = nullptr;
	uint64_t inserted = 0, removed = 0, expired = 0, evicted = 0, refused = 0, not_owned = 0;
	uint64_t moved = 0;
	std::vector<conntrack_group *> group_storage;
	std::vector<conntrack_group *> growing;
};

namespace reframer::conntrack {

using Table = ::conntrack_table;
using Group = ::conntrack_group;

// One set a (key size, stride): compilers then know both.
struct Operations {
	void (*digest)(Table &, const uint8_t *keys, const uint32_t *nic, uint32_t n, uint64_t *out);
	void (*prefetch)(Table &, const uint64_t *digests, uint32_t n);
	uint32_t (*find)(Table &, const uint8_t *keys, const uint64_t *digests, uint32_t n, bool timed,
	                 void **states);
	uint32_t (*find_or_insert)(Table &, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                           bool timed, void **states, uint8_t *results);
	uint32_t (*remove)(Table &, const uint8_t *keys, const uint64_t *digests, uint32_t n, bool timed);
};
const Operations *find_operations(uint32_t key_size, uint32_t stride);

inline uint32_t group_of(const Table &t, uint32_t position)
{
	return static_cast<uint32_t>(uint64_t{position} >> (32 - t.group_bits));
}

inline Place locate(const Table &t, Group &g, uint32_t position)
{
	uint64_t inside = static_cast<uint32_t>(uint64_t{position} << t.group_bits);
	auto bucket = static_cast<uint32_t>(inside * g.now.nb_buckets >> 32);
	if (bucket < g.frontier) [[unlikely]]
		return {&g, &g.next, static_cast<uint32_t>(inside * g.next.nb_buckets >> 32)};
	return {&g, &g.now, bucket};
}

inline uint8_t *entry_at(const Table &t, const Generation &gen, uint32_t bucket, uint32_t slot)
{
	return gen.entries + (size_t{bucket} * slots_per_bucket + slot) * t.stride;
}
inline EntryMeta &meta_of(const Table &t, uint8_t *entry)
{
	return *reinterpret_cast<EntryMeta *>(entry + t.key_size);
}
inline uint8_t *state_of(const Table &t, uint8_t *entry)
{
	return entry + t.key_size + sizeof(EntryMeta);
}

// The digest anew: for entries at a spill home.
inline uint64_t digest_of_entry(const Table &t, uint8_t *entry)
{
	uint64_t hash = t.key_size == 16 ? hash_key<16>(t.hash_key, entry)
	                                 : hash_key<40>(t.hash_key, entry);
	return (hash & ~uint64_t{0xffffffff}) | meta_of(t, entry).position;
}

// An empty slot that a new entry may take.
struct Slot {
	Generation *generation = nullptr;
	uint32_t bucket = 0, slot = 0;
	uint32_t spill = 0; // number of the spill home near which it is, 0 for home

	explicit operator bool() const { return generation != nullptr; }
	Header &header() const { return generation->headers[bucket]; }
};

// upkeep.cpp: time and room.

// Takes the time of a call. False for CONNTRACK_NO_TIME: then nothing expires.
bool advance(Table &t, uint64_t now_ns);
// Tells whether a slot whose deadline is_due() is dead; if its timeout is longer than the 16 bits
// reach, arms it anew instead.
bool slot_is_dead(const Table &t, Header &h, uint32_t slot, uint8_t *entry);
// Empties a slot and keeps the books of the entry's home.
void vacate(Table &t, Group &g, Generation &gen, uint32_t bucket, uint32_t slot, int reason);
// Writes into its home's books where a new entry lives: there, further on, or at spill home `spill`.
void note_residence(const Table &t, Group &g, const Place &home, uint64_t digest, const Slot &at,
                    uint8_t *entry);
// Sweeps `nb_buckets` of a group. @return entries expired.
uint32_t sweep(Table &t, Group &g, uint32_t nb_buckets);
// Exact sweep of a whole group after a leap of the clock from tick `from` to t.tick.
void sweep_leap(Table &t, Group &g, uint64_t from);
// Finds a slot for a new key, near home or near a spill home.
// Evicts if it must and may, but none of the states in `pinned`.
Slot make_room(Table &t, Group &g, uint64_t digest, bool timed, void *const *pinned,
               uint32_t nb_pinned);

// growth.cpp

bool size_group(const Table &t, Group &g, uint64_t flows, uint32_t load_percent);
int start_growth(Table &t, Group &g, bool touch);
// Sees to it that each group takes `count` new keys; sets t.room.
void ensure_room(Table &t, uint32_t count);
void move_buckets(Table &t, Group &g, uint32_t nb_buckets);
// Moves what inserts owe to growing groups; called where no state pointer is alive.
void settle_debts(Table &t);

inline uint32_t filter_bit(uint8_t tag) { return 1u << (tag & 31); }

} // namespace reframer::conntrack
