// Time and room: what expires, what makes place for what.
#include "conntrack/parameters.hpp"
#include "conntrack/table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace reframer::conntrack {

namespace {

// Headers that a sweep asks for ahead, in part for the next one: 8 lines are about 100 ns of work.
constexpr uint32_t sweep_ahead = 8;
constexpr uint32_t sweep_piece = 32; // buckets whose deadlines are looked at before the first is emptied

// Walks an entry's armed deadlines up to `tick`. @return true if it is dead by then.
bool is_dead(const Table &t, EntryMeta &meta, uint64_t &deadline, uint64_t tick)
{
	uint64_t idle = meta.idle;
	if (is_over(t.timeout[meta.timeout_class], horizon, idle, deadline, tick))
		return true;
	meta.idle = static_cast<uint32_t>(idle) & vacant_idle;
	return false;
}

// `due`: slots of the bucket whose deadline has come.
uint32_t sweep_bucket(Table &t, Group &g, Generation &gen, uint32_t bucket, uint32_t due)
{
	Header &h = gen.headers[bucket];
	uint32_t expired = 0;
	// At home here and of a short timeout: the header knows all that there is to know.
	if (uint32_t plain = due & ~uint32_t{h.guest} & ~uint32_t{h.patient}; plain && !t.on_removed) {
		expired = static_cast<uint32_t>(std::popcount(plain));
		due &= ~plain;
		h.shielded = static_cast<uint16_t>(h.shielded & ~plain);
		for (; plain; plain &= plain - 1)
			h.tag[std::countr_zero(plain)] = 0;
		t.expired += expired;
		t.flows -= expired;
		g.flows -= expired;
	}
	for (; due; due &= due - 1) {
		auto slot = static_cast<uint32_t>(std::countr_zero(due));
		if (!slot_is_dead(t, h, slot, entry_at(t, gen, bucket, slot)))
			continue;
		vacate(t, g, gen, bucket, slot, CONNTRACK_EXPIRED);
		expired++;
	}
	return expired;
}

// Up to `sweep_piece` buckets. First which have anything to do: where one in five has, a branch for
// each would go wrong that often.
uint32_t sweep_buckets(Table &t, Group &g, Generation &gen, uint32_t first, uint32_t nb)
{
	uint32_t due[sweep_piece], bucket[sweep_piece], nb_due = 0, expired = 0;
	const uint32_t last = gen.nb_all() - 1;
	for (uint32_t b = first; b < first + nb; b++) {
		const Header &h = gen.headers[b];
		_mm_prefetch(gen.headers + std::min(b + sweep_ahead, last), _MM_HINT_T0);
		uint32_t m = due_slots(h, t.tick) & ~empty_slots(h);
		due[nb_due] = m;
		bucket[nb_due] = b;
		nb_due += m != 0;
	}
	for (uint32_t i = 0; i < nb_due; i++)
		expired += sweep_bucket(t, g, gen, bucket[i], due[i]);
	return expired;
}

// A slot at home or up to `distance` further on: empty, or else of a dead entry.
Slot free_slot(Table &t, Group &g, uint32_t position, uint32_t distance, bool timed, bool only_dead)
{
	Place home = locate(t, g, position);
	for (uint32_t bucket = home.bucket; bucket <= home.bucket + distance; bucket++) {
		Header &h = home.generation->headers[bucket];
		uint32_t empty = empty_slots(h);
		if (empty && !only_dead)
			return {home.generation, bucket, static_cast<uint32_t>(std::countr_zero(empty))};
		uint32_t due = timed ? due_slots(h, t.tick) & ~empty : 0;
		for (; due; due &= due - 1) {
			auto slot = static_cast<uint32_t>(std::countr_zero(due));
			if (!slot_is_dead(t, h, slot, entry_at(t, *home.generation, bucket, slot)))
				continue;
			vacate(t, g, *home.generation, bucket, slot, CONNTRACK_EXPIRED);
			return {home.generation, bucket, slot};
		}
	}
	return {};
}

// Takes the place of the unprotected entry near home whose deadline comes first.
Slot evict(Table &t, Group &g, uint32_t position, void *const *pinned, uint32_t nb_pinned)
{
	Place home = locate(t, g, position);
	Slot victim;
	int first = INT32_MAX;
	for (uint32_t bucket = home.bucket; bucket <= home.bucket + near_distance; bucket++) {
		Header &h = home.generation->headers[bucket];
		uint32_t candidates = ~(h.shielded | empty_slots(h)) & 0xffff;
		for (; candidates; candidates &= candidates - 1) {
			auto slot = static_cast<uint32_t>(std::countr_zero(candidates));
			int left = static_cast<int16_t>(h.deadline[slot] - static_cast<uint16_t>(t.tick));
			if (left >= first)
				continue;
			const void *state = state_of(t, entry_at(t, *home.generation, bucket, slot));
			bool in_use = false;
			for (uint32_t i = 0; i < nb_pinned; i++)
				in_use |= pinned[i] == state;
			if (in_use)
				continue;
			first = left;
			victim = {home.generation, bucket, slot};
		}
	}
	if (victim)
		vacate(t, g, *victim.generation, victim.bucket, victim.slot, CONNTRACK_EVICTED);
	return victim;
}

} // namespace

void note_residence(const Table &t, Group &g, const Place &home, uint64_t digest, const Slot &at,
                    uint8_t *entry)
{
	Header &h = home.header();
	if (at.spill) {
		meta_of(t, entry).spilled = 1;
		if (h.nb_spilled != unknown_spilled)
			h.nb_spilled++;
		if (h.last_spill < at.spill)
			h.last_spill = at.spill & 15;
		g.spilled++;
		if (t.flags & CONNTRACK_NIC_HASH && h.nb_spilled > many_spilled && h.nb_spilled != unknown_spilled)
			g.flooded.add(digest_position(digest));
	} else if (home.bucket != at.bucket) {
		h.nb_away++;
		g.away++;
		if (h.reach < at.bucket - home.bucket)
			h.reach = (at.bucket - home.bucket) & 15;
	} else {
		return;
	}
	h.filter |= filter_bit(digest_tag(digest));
	set_bit(at.header().guest, at.slot, true);
}

bool slot_is_dead(const Table &t, Header &h, uint32_t slot, uint8_t *entry)
{
	auto late = static_cast<uint16_t>(static_cast<uint16_t>(t.tick) - h.deadline[slot]);
	uint64_t deadline = t.tick - late;
	if (is_dead(t, meta_of(t, entry), deadline, t.tick))
		return true;
	h.deadline[slot] = static_cast<uint16_t>(deadline);
	return false;
}

bool advance(Table &t, uint64_t now_ns)
{
	if (now_ns == CONNTRACK_NO_TIME)
		return false;
	uint64_t tick = now_ns / t.tick_ns;
	if (tick <= t.tick)
		return true;
	uint64_t from = t.tick;
	t.tick = tick;
	if (tick - from > sweep_limit) {
		for (uint32_t i = 0; i < t.group_storage.size(); i++)
			if (Group *g = t.groups[i])
				sweep_leap(t, *g, from);
		t.check_sweeps_at = tick + sweep_grace;
	} else if (tick >= t.check_sweeps_at) {
		for (uint32_t i = 0; i < t.group_storage.size(); i++) {
			Group *g = t.groups[i];
			while (g && tick - g->swept_at > sweep_limit)
				sweep(t, *g, UINT32_MAX);
		}
		t.check_sweeps_at = tick + sweep_grace;
	}
	return true;
}

void vacate(Table &t, Group &g, Generation &gen, uint32_t bucket, uint32_t slot, int reason)
{
	uint8_t *entry = entry_at(t, gen, bucket, slot);
	if (t.on_removed)
		t.on_removed(t.context, entry, state_of(t, entry), reason);
	Header &h = gen.headers[bucket];
	Place home = locate(t, g, meta_of(t, entry).position);
	Header &home_header = home.header();
	if (meta_of(t, entry).spilled) {
		if (home_header.nb_spilled != unknown_spilled)
			home_header.nb_spilled--;
		g.spilled--;
	} else if (home.bucket != bucket) {
		if (--home_header.nb_away == 0)
			home_header.reach = 0;
		g.away--;
	}
	if (home_header.nb_away == 0 && home_header.nb_spilled == 0)
		home_header.filter = 0;
	if (home_header.nb_spilled == 0) {
		home_header.last_spill = 0;
		if (g.flooded.nb) [[unlikely]]
			g.flooded.forget(meta_of(t, entry).position);
	}
	meta_of(t, entry).idle = vacant_idle;
	h.tag[slot] = 0;
	for (uint16_t *bits : {&h.guest, &h.patient, &h.shielded})
		set_bit(*bits, slot, false);
	g.flows--;
	t.flows--;
	(reason == CONNTRACK_EXPIRED ? t.expired : reason == CONNTRACK_EVICTED ? t.evicted : t.removed)++;
}

uint32_t sweep(Table &t, Group &g, uint32_t nb_buckets)
{
	uint32_t expired = 0;
	uint32_t nb_now = g.now.nb_all(), nb = nb_now + g.next.nb_all();
	if (g.sweep_next < g.frontier)
		g.sweep_next = g.frontier;
	while (nb_buckets && g.sweep_next < nb) {
		bool of_now = g.sweep_next < nb_now;
		Generation &gen = of_now ? g.now : g.next;
		uint32_t begin = of_now ? g.sweep_next : g.sweep_next - nb_now;
		uint32_t end = begin + std::min(nb_buckets, gen.nb_all() - begin);
		for (uint32_t b = begin; b < end; b += sweep_piece)
			expired += sweep_buckets(t, g, gen, b, std::min(sweep_piece, end - b));
		g.sweep_next += end - begin;
		nb_buckets -= end - begin;
	}
	if (g.sweep_next >= nb) {
		g.sweep_next = 0;
		g.swept_at = t.tick;
	}
	return expired;
}

void sweep_leap(Table &t, Group &g, uint64_t from)
{
	for (Generation *gen : {&g.now, &g.next}) {
		uint32_t bucket = gen == &g.now ? g.frontier : 0;
		for (; g.flows && bucket < gen->nb_all(); bucket++) {
			Header &h = gen->headers[bucket];
			for (uint32_t used = ~empty_slots(h) & 0xffff; used; used &= used - 1) {
				auto slot = static_cast<uint32_t>(std::countr_zero(used));
				// Sweeps keep every deadline within 2^15 ticks of the latest tick.
				uint64_t deadline = from + static_cast<uint64_t>(static_cast<int64_t>(
				    static_cast<int16_t>(h.deadline[slot] - static_cast<uint16_t>(from))));
				EntryMeta &meta = meta_of(t, entry_at(t, *gen, bucket, slot));
				if (deadline <= t.tick && is_dead(t, meta, deadline, t.tick))
					vacate(t, g, *gen, bucket, slot, CONNTRACK_EXPIRED);
				else
					h.deadline[slot] = static_cast<uint16_t>(deadline);
			}
		}
	}
	g.sweep_next = 0;
	g.swept_at = t.tick;
}

Slot make_room(Table &t, Group &g, uint64_t digest, bool timed, void *const *pinned,
               uint32_t nb_pinned)
{
	const bool only_dead = t.flows >= t.max_flows, evicts = !(t.flags & CONNTRACK_NO_EVICTION);
	Slot slot;
	// Home is 0. Where only a dead entry would do, a flood finds none: then it pays for home and one
	// spill home, not for all sixteen, before it takes a live one's place.
	auto search = [&](uint32_t first, uint32_t last) {
		for (uint32_t home = first; !slot && home <= last && (timed || !only_dead); home++) {
			slot = free_slot(t, g, home ? spill_position(digest, home) : digest_position(digest),
			                 home ? near_distance : max_distance, timed, only_dead);
			slot.spill = home;
		}
	};
	const uint32_t at_first = only_dead && evicts ? 1 : nb_spill_homes;
	search(0, at_first);
	if (!slot && evicts)
		slot = evict(t, g, digest_position(digest), pinned, nb_pinned);
	search(at_first + 1, nb_spill_homes);
	if (!slot)
		t.refused++;
	return slot;
}

} // namespace reframer::conntrack
