// What expires in a shared table, and what makes place for what.
#include "conntrack/parameters.hpp"
#include "conntrack/shared/table.hpp"

#include <algorithm>
#include <bit>

namespace reframer::conntrack::shared {

namespace {

// Walks an entry's armed deadlines up to `tick`. @return true if it is dead by then.
bool walk(const Table &t, Meta &meta, uint64_t &deadline, uint64_t tick)
{
	uint64_t idle = meta.idle();
	if (is_over(t.timeout[meta.timeout_class()], horizon, idle, deadline, tick))
		return true;
	meta = Meta::make(meta.position(), meta.timeout_class(), static_cast<uint32_t>(idle));
	return false;
}

// A place to put one more flow: from the thread's reserve, or a chunk from the table's.
bool take_place(Thread &thread, Generation &g)
{
	if (thread.places > 0) {
		thread.places--;
		return true;
	}
	Table &t = *thread.table;
	auto most = static_cast<int64_t>(t.max_flows);
	int64_t taken = t.places_taken.load(std::memory_order_relaxed), chunk;
	do {
		chunk = std::min(places_chunk, most - taken);
		if (chunk <= 0)
			return false;
	} while (
		!t.places_taken.compare_exchange_weak(taken, taken + chunk, std::memory_order_relaxed));
	thread.places = chunk - 1;
	if (static_cast<uint64_t>(taken + chunk) >= g.grow_at.load(std::memory_order_relaxed))
		[[unlikely]]
		thread.wants_growth = true;
	return true;
}

void give_place(Thread &thread)
{
	if (++thread.places <= places_kept)
		return;
	thread.places -= places_chunk;
	thread.table->places_taken.fetch_sub(places_chunk, std::memory_order_relaxed);
}

// Locks the home of the entry in a locked bucket unless the caller holds it already. Never waits:
// the home may come before what the caller holds.
bool try_lock_home(Generation &g, uint32_t home, uint32_t of_entry, uint32_t bucket)
{
	return of_entry == home || of_entry == bucket || try_lock(g.buckets[of_entry]);
}

void unlock_home(Generation &g, uint32_t home, uint32_t of_entry, uint32_t bucket)
{
	if (of_entry != home && of_entry != bucket)
		unlock(g.buckets[of_entry]);
}

// Empties a slot of a locked bucket whose entry is dead. False: it is alive, or its home is busy.
bool bury(Thread &thread, Generation &g, Slot at, uint32_t home, uint64_t tick)
{
	Table &t = *thread.table;
	Bucket &b = g.buckets[at.bucket];
	uint8_t *entry = entry_at(t, g, at.bucket, at.slot);
	Meta meta = meta_of(t, entry);
	uint16_t deadline = get(b.deadline[at.slot]);
	uint32_t of_entry = g.home_of(meta.position());
	if (!is_dead(t, meta, deadline, tick)) {
		put(b.deadline[at.slot], deadline);
		put(meta_word(t, entry), meta.bits);
		return false;
	}
	if (!try_lock_home(g, home, of_entry, at.bucket))
		return false;
	vacate(thread, g, at, of_entry, CONNTRACK_EXPIRED);
	unlock_home(g, home, of_entry, at.bucket);
	return true;
}

// A slot of `bucket` that is empty, or else of a dead entry.
bool free_slot(Thread &thread, Generation &g, uint32_t bucket, uint32_t home, bool empty_ones,
               bool timed, uint64_t tick, Slot &out)
{
	Bucket &b = g.buckets[bucket];
	uint32_t empty = empty_slots(b);
	if (empty && empty_ones) {
		out = {bucket, static_cast<uint32_t>(std::countr_zero(empty))};
		return true;
	}
	for (uint32_t due = timed ? due_slots(b, tick) : 0; due; due &= due - 1) {
		out = {bucket, static_cast<uint32_t>(std::countr_zero(due))};
		if (bury(thread, g, out, home, tick))
			return true;
	}
	return false;
}

// Takes the place of the unprotected entry near home whose deadline comes first. Its bucket stays
// locked.
bool evict_once(Thread &thread, Generation &g, uint32_t home, uint64_t tick, Slot &out)
{
	Table &t = *thread.table;
	int first = INT32_MAX;
	uint32_t last = home + victim_reach;
	for (uint32_t bucket = home; bucket <= last; bucket++) {
		const Bucket &b = g.buckets[bucket];
		uint32_t candidates = ~(get(b.shielded) | empty_slots(b)) & 0xffff;
		for (; candidates; candidates &= candidates - 1) {
			auto slot = static_cast<uint32_t>(std::countr_zero(candidates));
			int left = static_cast<int16_t>(get(b.deadline[slot]) - static_cast<uint16_t>(tick));
			if (left < first) {
				first = left;
				out = {bucket, slot};
			}
		}
	}
	if (first == INT32_MAX)
		return false;
	Bucket &b = g.buckets[out.bucket];
	if (out.bucket != home)
		lock(b);
	// What was seen without the lock may have changed.
	bool taken = get(b.tag[out.slot]) == 0;
	if (!taken && !(get(b.shielded) >> out.slot & 1)) {
		uint32_t of_entry = g.home_of(meta_of(t, entry_at(t, g, out.bucket, out.slot)).position());
		if (try_lock_home(g, home, of_entry, out.bucket)) {
			vacate(thread, g, out, of_entry, CONNTRACK_EVICTED);
			unlock_home(g, home, of_entry, out.bucket);
			taken = true;
		}
	}
	// A slot that others emptied brings no place with it.
	if (taken && take_place(thread, g))
		return true;
	if (out.bucket != home)
		unlock(b);
	return false;
}

bool evict(Thread &thread, Generation &g, uint32_t home, uint64_t tick, Slot &out)
{
	// Again where another thread was at the victim.
	for (unsigned tries = 0; tries < 4; tries++)
		if (evict_once(thread, g, home, tick, out))
			return true;
	return false;
}

} // namespace

bool is_dead(const Table &t, Meta &meta, uint16_t &deadline, uint64_t tick)
{
	auto late = static_cast<uint16_t>(static_cast<uint16_t>(tick) - deadline);
	uint64_t whole = tick - late;
	if (walk(t, meta, whole, tick))
		return true;
	deadline = static_cast<uint16_t>(whole);
	return false;
}

void vacate(Thread &thread, Generation &g, Slot at, uint32_t home, int reason)
{
	Table &t = *thread.table;
	Bucket &b = g.buckets[at.bucket], &h = g.buckets[home];
	if (t.on_removed) {
		uint8_t *entry = entry_at(t, g, at.bucket, at.slot);
		alignas(8) uint8_t key[CONNTRACK_KEY_IPV6], state[64];
		copy_out(key, entry, t.key_size);
		copy_out(state, entry + t.key_size + sizeof(Meta), t.state_size);
		t.on_removed(t.context, key, state, reason);
	}
	put(b.tag[at.slot], uint8_t{0});
	put(b.shielded, static_cast<uint16_t>(get(b.shielded) & ~(1u << at.slot)));
	if (home != at.bucket) {
		auto left = static_cast<uint16_t>(get(h.nb_away) - 1);
		put(h.nb_away, left);
		if (left == 0) {
			put(h.filter, 0u);
			put(h.reach, uint8_t{0});
		}
		thread.away.add(-1);
	}
	give_place(thread);
	(reason == CONNTRACK_EXPIRED   ? thread.expired
	 : reason == CONNTRACK_EVICTED ? thread.evicted
	                               : thread.removed)
		.add(1);
}

void note_residence(Thread &thread, Generation &g, uint32_t home, Slot at, uint8_t tag)
{
	if (at.bucket == home)
		return;
	Bucket &h = g.buckets[home];
	put(h.nb_away, static_cast<uint16_t>(get(h.nb_away) + 1));
	put(h.filter, get(h.filter) | filter_bit(tag));
	put(h.reach, std::max(get(h.reach), static_cast<uint8_t>(at.bucket - home)));
	thread.away.add(1);
}

Room make_room(Thread &thread, Generation &g, uint32_t home, bool timed, uint64_t tick, Slot &out)
{
	Table &t = *thread.table;
	if (&g != t.current.load(std::memory_order_acquire) &&
	    static_cast<double>(t.places_taken.load(std::memory_order_relaxed)) >
	        room_to_move * double(g.nb_buckets) * slots_per_bucket)
		return Room::after_growth;
	bool place = take_place(thread, g);
	if (free_slot(thread, g, home, home, place, timed, tick, out)) {
		if (place || take_place(thread, g))
			return Room::found;
	}
	uint32_t last = place ? max_reach : victim_reach;
	for (uint32_t b = home + 1; b <= home + last; b++) {
		bool near = b <= home + victim_reach;
		Bucket &next = g.buckets[b];
		// A look without the lock: full buckets are most of those on the way.
		if (!(place && empty_slots(next)) && !(near && timed && due_slots(next, tick)))
			continue;
		lock(next);
		if (free_slot(thread, g, b, home, place, near && timed, tick, out)) {
			if (b - home > crowded_reach)
				thread.wants_growth = true;
			if (place || take_place(thread, g))
				return Room::found;
		}
		unlock(next);
	}
	if (place)
		give_place(thread);
	// Full here, but not by the count: a table that is larger has room.
	if (place && !thread.cannot_grow && may_grow(t, g))
		return Room::after_growth;
	thread.cannot_grow = false;
	return !(t.flags & CONNTRACK_NO_EVICTION) && evict(thread, g, home, tick, out) ? Room::found
	                                                                               : Room::none;
}

namespace {

// @return whether the entry in the slot was dead and is gone.
bool sweep_slot(Thread &thread, Generation &g, uint32_t bucket, uint32_t slot, uint64_t tick)
{
	Table &t = *thread.table;
	Bucket &b = g.buckets[bucket];
	uint8_t *entry = entry_at(t, g, bucket, slot);
	for (;;) {
		uint32_t version = wait_unlocked(b);
		if (get(b.tag[slot]) == 0 || !is_due(get(b.deadline[slot]), tick))
			return false;
		uint32_t position = meta_of(t, entry).position();
		if (get(b.version) != version)
			continue;
		uint32_t home = g.home_of(position);
		// The home's lock comes first; what was seen may have changed by then.
		if (home != bucket) {
			lock(g.buckets[home]);
			if (!lock_from(b, version)) {
				unlock(g.buckets[home]);
				continue;
			}
		} else if (!lock_from(b, version)) {
			continue;
		}
		Meta meta = meta_of(t, entry);
		uint16_t deadline = get(b.deadline[slot]);
		bool dead = is_dead(t, meta, deadline, tick);
		if (dead) {
			vacate(thread, g, {bucket, slot}, home, CONNTRACK_EXPIRED);
		} else {
			put(b.deadline[slot], deadline);
			put(meta_word(t, entry), meta.bits);
		}
		unlock(b);
		if (home != bucket)
			unlock(g.buckets[home]);
		return dead;
	}
}

} // namespace

uint32_t sweep(Thread &thread, uint64_t tick, uint32_t nb_buckets)
{
	Table &t = *thread.table;
	uint32_t expired = 0;
	while (nb_buckets) {
		Generation *g = t.current.load(std::memory_order_acquire), *next;
		uint32_t first, last, nb_now = g->nb_all();
		bool whole = false;
		{
			std::lock_guard guard(t.sweep);
			next = get(g->next);
			if (t.sweep_of != g || t.sweep_growing != (next != nullptr)) {
				t.sweep_of = g;
				t.sweep_growing = next != nullptr;
				t.sweep_next = 0;
			}
			if (t.sweep_next == 0)
				t.sweep_began = tick;
			uint32_t nb_all = nb_now + (next ? next->nb_all() : 0);
			first = t.sweep_next;
			last = first + std::min(nb_buckets, nb_all - first);
			t.sweep_next = last;
			if (last == nb_all) {
				t.sweep_next = 0;
				t.swept_at.store(t.sweep_began, std::memory_order_relaxed);
				whole = true;
			}
		}
		for (uint32_t i = first; i < last; i++) {
			Generation &of = i < nb_now ? *g : *next;
			uint32_t bucket = i < nb_now ? i : i - nb_now;
			for (uint32_t due = due_slots(of.buckets[bucket], tick); due; due &= due - 1)
				expired += sweep_slot(thread, of, bucket,
				                      static_cast<uint32_t>(std::countr_zero(due)), tick);
		}
		nb_buckets -= last - first;
		if (whole)
			break;
	}
	return expired;
}

void sweep_all(Thread &thread, uint64_t from, uint64_t to)
{
	Table &t = *thread.table;
	// An empty table's memory stays untouched.
	if (t.places_taken.load() == 0)
		return;
	for (Generation *g = t.current.load(); g; g = g->next)
		for (uint32_t bucket = 0; bucket < g->nb_all(); bucket++) {
			Bucket &b = g->buckets[bucket];
			for (uint32_t used = ~empty_slots(b) & 0xffff; used; used &= used - 1) {
				auto slot = static_cast<uint32_t>(std::countr_zero(used));
				uint8_t *entry = entry_at(t, *g, bucket, slot);
				// Sweeps keep every deadline within 2^15 ticks of the latest tick.
				uint64_t deadline =
					from + static_cast<uint64_t>(static_cast<int64_t>(static_cast<int16_t>(
							   get(b.deadline[slot]) - static_cast<uint16_t>(from))));
				Meta meta = meta_of(t, entry);
				if (deadline <= to && walk(t, meta, deadline, to)) {
					vacate(thread, *g, {bucket, slot}, g->home_of(meta.position()),
					       CONNTRACK_EXPIRED);
				} else {
					put(b.deadline[slot], static_cast<uint16_t>(deadline));
					put(meta_word(t, entry), meta.bits);
				}
			}
		}
}

uint64_t visit_all(Table &t, bool timed, uint64_t tick, conntrack_visit_fn visit, void *context)
{
	struct Copy {
		alignas(8) uint8_t key[CONNTRACK_KEY_IPV6], state[64];
		Meta meta;
		uint16_t deadline;
	} copies[slots_per_bucket];
	Generation &g = *t.current.load(std::memory_order_acquire);
	uint64_t visited = 0;
	for (uint32_t bucket = 0; bucket < g.nb_all(); bucket++) {
		const Bucket &b = g.buckets[bucket];
		uint32_t used, version;
		do {
			version = wait_unlocked(b);
			used = ~empty_slots(b) & 0xffff;
			for (uint32_t m = used; m; m &= m - 1) {
				auto slot = static_cast<uint32_t>(std::countr_zero(m));
				uint8_t *entry = entry_at(t, g, bucket, slot);
				copy_out(copies[slot].key, entry, t.key_size);
				copies[slot].meta = meta_of(t, entry);
				copy_out(copies[slot].state, entry + t.key_size + sizeof(Meta), t.state_size);
				copies[slot].deadline = get(b.deadline[slot]);
			}
		} while (get(b.version) != version);
		for (; used; used &= used - 1) {
			Copy &c = copies[std::countr_zero(used)];
			if (timed && is_due(c.deadline, tick) && is_dead(t, c.meta, c.deadline, tick))
				continue;
			visit(context, c.key, c.state, static_cast<int>(c.meta.timeout_class()));
			visited++;
		}
	}
	return visited;
}

} // namespace reframer::conntrack::shared
