// The shared table: generations of buckets, threads, time.
#pragma once

#include "base/pages.hpp"
#include "conntrack/clock.hpp"
#include "conntrack/digest.hpp"
#include "conntrack/shared/bucket.hpp"
#include "reframer/conntrack_shared.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace reframer::conntrack::shared {

// Entries a slot at which growth starts: 1 key in 40 is away from home then.
constexpr double grow_at_load = 0.85;
constexpr uint64_t grow_numerator = 5, grow_denominator = 4; // as in the table of one thread
constexpr uint64_t smallest_step = 32;                       // buckets
// A generation that is grown into takes no more new entries than this before all homes have moved: a thread
// that is preempted with a home in its hands must find room for it when it comes back.
constexpr double room_to_move = 0.9;
// Old homes that a thread moves for each flow that it inserts while the table grows: the old half
// fills by 6 % at most meanwhile.
constexpr uint32_t moves_per_insert = 1;
constexpr uint32_t piece_of_growth = 256; // homes that a thread moves which cannot go on without
// Where a key has to go farther than this, homes are fuller than they should be: grow now.
constexpr uint32_t crowded_reach = 12;
// Buckets from home on that are looked through for an entry to evict or a dead one to replace.
constexpr uint32_t victim_reach = 3;
// Places that a thread fetches from the common count, and those that it keeps at most.
constexpr int64_t places_chunk = 32, places_kept = 64;

constexpr uint32_t entry_stride(uint32_t key_size, uint32_t state_size)
{
	// Multiples of 32: an IPv4 entry with 8 bytes of state is half a line and straddles none.
	return (key_size + 8 + state_size + 31) & ~31u;
}
static_assert(entry_stride(16, 8) == 32 && entry_stride(40, 16) == 64);

// Digest: position below, keyed hash of the whole key above. Tag 0 is an empty slot.
inline uint32_t digest_position(uint64_t digest)
{
	return static_cast<uint32_t>(digest);
}
inline uint8_t digest_tag(uint64_t digest)
{
	uint8_t tag = static_cast<uint8_t>(digest >> 56);
	return tag ? tag : 1;
}

struct Generation {
	Bucket *buckets = nullptr;
	uint8_t *entries = nullptr;
	uint32_t nb_buckets = 0; // homes; max_reach more follow
	base::Pages bucket_pages, entry_pages;
	std::atomic<uint64_t> grow_at = UINT64_MAX;   // places taken
	Generation *next = nullptr;                   // set once, when growth starts
	uint64_t retired_in = 0;                      // epoch
	alignas(64) std::atomic<uint32_t> cursor = 0; // next home to move
	std::atomic<uint32_t> moved = 0;              // homes

	bool map(uint64_t homes, uint32_t stride);
	uint32_t nb_all() const { return nb_buckets + max_reach; }
	size_t bytes() const { return bucket_pages.bytes() + entry_pages.bytes(); }
	uint32_t home_of(uint32_t position) const
	{
		return static_cast<uint32_t>(uint64_t{position} * nb_buckets >> 32);
	}
};

// What follows the key in an entry; the state follows it. Idle: ticks without a packet before the
// armed deadline began, for timeouts beyond the 16 bits of a deadline.
struct Meta {
	uint64_t bits;

	static Meta make(uint32_t position, uint32_t timeout_class, uint32_t idle)
	{
		return {uint64_t{timeout_class} << 60 | uint64_t{idle} << 32 | position};
	}
	uint32_t position() const { return static_cast<uint32_t>(bits); }
	uint32_t idle() const { return static_cast<uint32_t>(bits >> 32) & ((1u << 28) - 1); }
	uint32_t timeout_class() const { return static_cast<uint32_t>(bits >> 60); }
};

// Written by one thread, read by any.
struct Counter {
	std::atomic<int64_t> value = 0;
	void add(int64_t n)
	{
		value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
	}
	int64_t read() const { return value.load(std::memory_order_relaxed); }
};

struct Slot {
	uint32_t bucket = 0, slot = 0;
};

} // namespace reframer::conntrack::shared

// Two lines: neighbours' prefetchers keep off.
struct alignas(128) conntrack_thread {
	std::atomic<uint64_t> active = 0; // epoch in which the call under way began, 0 outside
	conntrack_shared *table = nullptr;
	std::atomic<bool> taken = false;
	int64_t places = 0;        // of the table's room, held by this thread
	bool wants_growth = false; // noted under locks, begun without
	bool cannot_grow = false;  // no memory: make room otherwise
	reframer::conntrack::shared::Counter inserted, removed, expired, evicted, refused, moved, away;
};

namespace reframer::conntrack::shared {
using Table = ::conntrack_shared;
using Thread = ::conntrack_thread;
struct Operations;
} // namespace reframer::conntrack::shared

struct conntrack_shared {
	// Never changes.
	uint32_t key_size = 0, state_size = 0, stride = 0;
	uint32_t flags = 0;
	uint16_t protected_classes = 0;
	uint16_t arm[CONNTRACK_NB_CLASSES] = {};     // ticks from a refresh to the first deadline
	uint32_t timeout[CONNTRACK_NB_CLASSES] = {}; // ticks; 0 never
	uint64_t tick_ns = 0, max_flows = 0;
	conntrack_removed_fn on_removed = nullptr;
	void *context = nullptr;
	const reframer::conntrack::shared::Operations *operations = nullptr;
	reframer::conntrack::HashKey hash_key = {};

	// Changes now and then.
	alignas(64) std::atomic<reframer::conntrack::shared::Generation *> current = nullptr;
	std::atomic<uint64_t> tick = 0;
	std::atomic<uint64_t> epoch = 1;
	std::atomic<bool> gate = false;     // calls wait at their beginning
	std::atomic<uint64_t> swept_at = 0; // tick at which the last whole sweep began

	// Flows, and places that threads hold in reserve.
	alignas(64) std::atomic<int64_t> places_taken = 0;

	alignas(64) std::mutex growth; // held while a generation is added, or kept from being added
	std::mutex leap;               // held by the one that stops the others
	std::mutex sweep;              // of the four below
	reframer::conntrack::shared::Generation *sweep_of = nullptr;
	bool sweep_growing = false;
	uint32_t sweep_next = 0;
	uint64_t sweep_began = 0;
	std::mutex retire; // of `retired`
	std::vector<reframer::conntrack::shared::Generation *> retired;
	std::unique_ptr<conntrack_thread[]> threads;
};

namespace reframer::conntrack::shared {

// One set a (key size, stride).
struct Operations {
	void (*digest)(Thread &, const uint8_t *keys, uint32_t n, uint64_t *out);
	uint32_t (*find)(Thread &, const uint8_t *keys, const uint64_t *digests, uint32_t n, bool timed,
	                 uint64_t tick, uint8_t *states, uint8_t *found);
	uint32_t (*find_or_insert)(Thread &, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                           bool timed, uint64_t tick, uint8_t *states, uint8_t *results);
	uint32_t (*store)(Thread &, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                  bool timed, uint64_t tick, const uint8_t *states, uint8_t *results);
	uint32_t (*update)(Thread &, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                   bool timed, uint64_t tick, conntrack_update_fn update, void *context,
	                   uint8_t *results);
	uint32_t (*remove)(Thread &, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                   bool timed, uint64_t tick, uint8_t *removed);
};
const Operations *find_operations(uint32_t key_size, uint32_t stride);

inline uint8_t *entry_at(const Table &t, const Generation &g, uint32_t bucket, uint32_t slot)
{
	return g.entries + (size_t{bucket} * slots_per_bucket + slot) * t.stride;
}
inline uint64_t &meta_word(const Table &t, uint8_t *entry)
{
	return *reinterpret_cast<uint64_t *>(entry + t.key_size);
}
inline Meta meta_of(const Table &t, uint8_t *entry)
{
	return {get(meta_word(t, entry))};
}
inline uint8_t *state_of(const Table &t, uint8_t *entry)
{
	return entry + t.key_size + sizeof(Meta);
}

// conntrack_shared.cpp: time, and who is inside a call.

// A call from here to its end: generations that it can reach stay. `tick`: the table's time.
class Call {
public:
	Call(Thread &thread, uint64_t now_ns);
	~Call() { thread_.active.store(0, std::memory_order_release); }
	Call(const Call &) = delete;
	Call &operator=(const Call &) = delete;

	bool timed;
	uint64_t tick;

private:
	Thread &thread_;
};
// Frees generations that nobody can be in any more.
void free_retired(Table &t);

// upkeep.cpp: deadlines and room. "Locked" means: by the caller, here and on return.

// Whether an entry is dead that is due at `tick`. If not, out: what deadline and meta should be.
bool is_dead(const Table &t, Meta &meta, uint16_t &deadline, uint64_t tick);
// Empties a slot; its bucket and its entry's home are locked.
void vacate(Thread &thread, Generation &g, Slot at, uint32_t home, int reason);
enum class Room { found, after_growth, none };
// An empty slot for a key of `home`, which is locked; so is the slot's bucket then. The place is
// counted.
Room make_room(Thread &thread, Generation &g, uint32_t home, bool timed, uint64_t tick, Slot &out);
// Books of a new entry; both buckets are locked.
void note_residence(Thread &thread, Generation &g, uint32_t home, Slot at, uint8_t tag);
// Sweeps the next buckets. @return entries expired.
uint32_t sweep(Thread &thread, uint64_t tick, uint32_t nb_buckets);
// For stopped tables: exact, from tick `from` to `to`.
void sweep_all(Thread &thread, uint64_t from, uint64_t to);
// Visits copies of all live entries of a table that does not grow.
uint64_t visit_all(Table &t, bool timed, uint64_t tick, conntrack_visit_fn visit, void *context);

// growth.cpp

void set_growth_point(const Table &t, Generation &g);
void start_growth(Table &t, Generation &g);
// Whether a full neighbourhood is the table's fault, not that of keys aimed at it.
bool may_grow(const Table &t, const Generation &g);
// For Room::after_growth, without any lock: starts growth if nobody has, and moves homes.
void grow_now(Thread &thread);
// Moves homes of a growing table.
void help_growth(Thread &thread, uint32_t nb_homes);

} // namespace reframer::conntrack::shared
