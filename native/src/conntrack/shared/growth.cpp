// Growth of a shared table: homes move one by one, by the threads that insert.
#include "conntrack/shared/table.hpp"

#include <algorithm>
#include <bit>
#include <new>

namespace reframer::conntrack::shared {

bool Generation::map(uint64_t homes, uint32_t stride)
{
	size_t all = homes + max_reach;
	if (!bucket_pages.map(all * sizeof(Bucket)) ||
	    !entry_pages.map(all * slots_per_bucket * stride))
		return false;
	buckets = reinterpret_cast<Bucket *>(bucket_pages.data());
	entries = entry_pages.data();
	nb_buckets = static_cast<uint32_t>(homes);
	return true;
}

void set_growth_point(const Table &t, Generation &g)
{
	if (!(t.flags & CONNTRACK_FIXED_SIZE))
		g.grow_at.store(
			static_cast<uint64_t>(double(g.nb_buckets) * slots_per_bucket * grow_at_load),
			std::memory_order_relaxed);
}

namespace {

// Moves an entry of a locked bucket, whose home is locked too, to the next generation.
void move_entry(Thread &thread, Generation &old, Slot from, Generation &g)
{
	Table &t = *thread.table;
	Bucket &source = old.buckets[from.bucket];
	uint8_t *entry = entry_at(t, old, from.bucket, from.slot);
	uint32_t home = g.home_of(meta_of(t, entry).position());
	uint32_t place = home;
	lock(g.buckets[home]);
	uint32_t empty = empty_slots(g.buckets[home]);
	while (!empty && place < home + max_reach) {
		place++;
		if (!empty_slots(g.buckets[place]))
			continue;
		lock(g.buckets[place]);
		if (!(empty = empty_slots(g.buckets[place])))
			unlock(g.buckets[place]);
	}
	if (empty) {
		Slot to = {place, static_cast<uint32_t>(std::countr_zero(empty))};
		Bucket &target = g.buckets[place];
		alignas(8) uint8_t copy[128];
		copy_out(copy, entry, t.stride);
		copy_in(entry_at(t, g, to.bucket, to.slot), copy, t.stride);
		put(target.deadline[to.slot], get(source.deadline[from.slot]));
		if (get(source.shielded) >> from.slot & 1)
			put(target.shielded, static_cast<uint16_t>(get(target.shielded) | 1u << to.slot));
		uint8_t tag = get(source.tag[from.slot]);
		put(target.tag[to.slot], tag);
		note_residence(thread, g, home, to, tag);
		if (place != home)
			unlock(target);
		thread.moved.add(1);
	}
	unlock(g.buckets[home]);
	uint32_t old_home = old.home_of(meta_of(t, entry).position());
	if (!empty) {
		// 32 buckets in a row are full although the new half is the emptier one.
		vacate(thread, old, from, old_home, CONNTRACK_EVICTED);
		return;
	}
	put(source.tag[from.slot], uint8_t{0});
	put(source.shielded, static_cast<uint16_t>(get(source.shielded) & ~(1u << from.slot)));
	if (old_home != from.bucket)
		thread.away.add(-1);
}

void move_home(Thread &thread, Generation &old, uint32_t home, Generation &next)
{
	Table &t = *thread.table;
	Bucket &h = old.buckets[home];
	auto of_home = [&](uint32_t bucket, uint32_t slot) {
		return old.home_of(meta_of(t, entry_at(t, old, bucket, slot)).position()) == home;
	};
	lock(h);
	uint32_t last = home + get(h.reach);
	for (uint32_t bucket = home; bucket <= last; bucket++) {
		Bucket &b = old.buckets[bucket];
		if (bucket != home)
			lock(b);
		uint32_t used = ~empty_slots(b) & 0xffff;
		// All the lines that the moves will want.
		for (uint32_t m = used; m; m &= m - 1) {
			Meta meta =
				meta_of(t, entry_at(t, old, bucket, static_cast<uint32_t>(std::countr_zero(m))));
			__builtin_prefetch(&next.buckets[next.home_of(meta.position())], 1);
		}
		for (; used; used &= used - 1) {
			auto slot = static_cast<uint32_t>(std::countr_zero(used));
			if (of_home(bucket, slot))
				move_entry(thread, old, {bucket, slot}, next);
		}
		if (bucket != home)
			unlock(b);
	}
	put(h.nb_away, uint16_t{0});
	put(h.filter, 0u);
	put(h.reach, uint8_t{0});
	unlock(h, version_moved);
}

void finish_growth(Table &t, Generation &old)
{
	// Calls that have begun go on from the old one.
	t.current.store(old.next);
	{
		std::lock_guard guard(t.retire);
		old.retired_in = t.epoch.fetch_add(1);
		t.retired.push_back(&old);
	}
	free_retired(t);
}

} // namespace

namespace {

// The growth lock is held.
bool add_generation(Table &t, Generation &g)
{
	if (t.current.load() != &g || get(g.next))
		return true;
	auto *next = new (std::nothrow) Generation;
	// A small table grows by more: threads fetch places in chunks that would fill one step.
	uint64_t homes = std::max(uint64_t{g.nb_buckets} * grow_numerator / grow_denominator,
	                          g.nb_buckets + smallest_step);
	bool room = false;
	try {
		// So that finish_growth() needs no memory.
		std::lock_guard retiring(t.retire);
		t.retired.reserve(t.retired.size() + 2);
		room = next && next->map(homes, t.stride);
	} catch (const std::bad_alloc &) {
	}
	if (!room) {
		delete next;
		// Ask again when another sixteenth has come.
		g.grow_at.fetch_add(g.nb_buckets, std::memory_order_relaxed);
		return false;
	}
	set_growth_point(t, *next);
	put(g.next, next);
	return true;
}

} // namespace

void start_growth(Table &t, Generation &g)
{
	if (t.flags & CONNTRACK_FIXED_SIZE || !t.growth.try_lock())
		return;
	std::lock_guard guard(t.growth, std::adopt_lock);
	add_generation(t, g);
}

bool may_grow(const Table &t, const Generation &g)
{
	return !(t.flags & CONNTRACK_FIXED_SIZE) && t.places_taken.load(std::memory_order_relaxed) * 2 >
	                                                int64_t{g.nb_buckets} * slots_per_bucket;
}

void grow_now(Thread &thread)
{
	Table &t = *thread.table;
	{
		// Waits for a walk through the table to end; those move nothing meanwhile.
		std::lock_guard guard(t.growth);
		thread.cannot_grow = !add_generation(t, *t.current.load());
	}
	help_growth(thread, piece_of_growth);
	sched_yield();
}

void help_growth(Thread &thread, uint32_t nb_homes)
{
	Table &t = *thread.table;
	Generation &g = *t.current.load(std::memory_order_acquire);
	Generation *next = get(g.next);
	if (!next)
		return;
	for (; nb_homes && g.cursor.load(std::memory_order_relaxed) < g.nb_buckets; nb_homes--) {
		uint32_t home = g.cursor.fetch_add(1, std::memory_order_relaxed);
		if (home >= g.nb_buckets)
			return;
		move_home(thread, g, home, *next);
		if (g.moved.fetch_add(1, std::memory_order_acq_rel) + 1 == g.nb_buckets)
			finish_growth(t, g);
	}
}

} // namespace reframer::conntrack::shared
