// One key at a time: what a burst does with the keys that its fast steps do not settle.
#pragma once

#include "conntrack/table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace reframer::conntrack {

template <unsigned KeySize, unsigned Stride> struct OneKey {
	static uint8_t *entry_at(const Generation &gen, uint32_t bucket, uint32_t slot)
	{
		return gen.entries + (size_t{bucket} * slots_per_bucket + slot) * Stride;
	}
	static EntryMeta &meta_of(uint8_t *entry)
	{
		return *reinterpret_cast<EntryMeta *>(entry + KeySize);
	}
	static uint8_t *state_of(uint8_t *entry) { return entry + KeySize + sizeof(EntryMeta); }

	static bool same_key(const uint8_t *a, const uint8_t *b)
	{
		auto load = [](const uint8_t *p) {
			return _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
		};
		__m128i differ = _mm_xor_si128(load(a), load(b));
		if constexpr (KeySize == 40) {
			differ = _mm_or_si128(differ, _mm_xor_si128(load(a + 16), load(b + 16)));
			differ = _mm_or_si128(differ, _mm_xor_si128(load(a + 24), load(b + 24)));
		}
		return _mm_testz_si128(differ, differ);
	}

	// Inline by force: gcc takes a function that only prefetches for one without effect and drops
	// its calls.
	[[gnu::always_inline]] static void prefetch_entry(const uint8_t *entry)
	{
		for (unsigned at = 0; at < Stride; at += 64)
			_mm_prefetch(entry + at, _MM_HINT_T0);
		// Entries of one and a half lines may end in a third.
		if constexpr (Stride > 64 && Stride % 64)
			_mm_prefetch(entry + Stride - 1, _MM_HINT_T0);
	}

	// In the buckets from `bucket` on: the entry of `key`.
	static uint8_t *find_from(const Generation &gen, uint32_t bucket, uint32_t nb, uint8_t tag,
	                          const uint8_t *key, Slot &where)
	{
		for (; nb; bucket++, nb--)
			for (uint32_t m = match_tag(gen.headers[bucket], tag); m; m &= m - 1) {
				auto slot = static_cast<uint32_t>(std::countr_zero(m));
				uint8_t *entry = entry_at(gen, bucket, slot);
				if (!same_key(entry, key))
					continue;
				where = {const_cast<Generation *>(&gen), bucket, slot};
				return entry;
			}
		return nullptr;
	}

	// The key is not at home: it may be further on or at a spill home.
	[[gnu::noinline]] static uint8_t *find_elsewhere(Table &t, Group &g, const Place &home,
	                                                 uint64_t digest, const uint8_t *key, Slot &where)
	{
		const Header &h = home.header();
		uint8_t tag = digest_tag(digest);
		uint8_t *entry = nullptr;
		if (h.reach)
			entry = find_from(*home.generation, home.bucket + 1, h.reach, tag, key, where);
		for (uint32_t i = 1; !entry && h.nb_spilled && i <= h.last_spill; i++) {
			Place spill = locate(t, g, spill_position(digest, i));
			entry = find_from(*spill.generation, spill.bucket, near_distance + 1, tag, key, where);
		}
		return entry;
	}

	// A live entry of `key`, refreshed; a dead one is taken out.
	static uint8_t *find_live(Table &t, Group &g, uint64_t digest, const uint8_t *key, bool timed)
	{
		Place home = locate(t, g, digest_position(digest));
		uint8_t tag = digest_tag(digest);
		Header &h = home.header();
		Slot where;
		uint8_t *entry = find_from(*home.generation, home.bucket, 1, tag, key, where);
		if (!entry && h.filter & filter_bit(tag)) [[unlikely]]
			entry = find_elsewhere(t, g, home, digest, key, where);
		if (!entry || !timed)
			return entry;
		Header &at = where.header();
		if (is_due(at.deadline[where.slot], t.tick) && slot_is_dead(t, at, where.slot, entry))
		    [[unlikely]] {
			vacate(t, g, *where.generation, where.bucket, where.slot, CONNTRACK_EXPIRED);
			return nullptr;
		}
		refresh(t, at, where.slot, entry);
		return entry;
	}

	static void refresh(const Table &t, Header &h, uint32_t slot, uint8_t *entry)
	{
		EntryMeta &meta = meta_of(entry);
		auto deadline = static_cast<uint16_t>(t.tick + t.arm[meta.timeout_class]);
		// Stored only when it changes: at most once a tick, so lines stay clean.
		if (h.deadline[slot] != deadline)
			h.deadline[slot] = deadline;
		if (meta.idle) [[unlikely]]
			meta.idle = 0;
	}

	// The first empty slot from home on. None where there may be dead entries to replace on the way.
	static Slot empty_from(const Table &t, const Place &home, bool timed)
	{
		const Header *h = &home.header();
		if (uint32_t empty = empty_slots(*h)) [[likely]]
			return {home.generation, home.bucket, static_cast<uint32_t>(std::countr_zero(empty))};
		constexpr uint32_t at_once = near_distance + 1;
		static_assert((max_distance + 1) % at_once == 0);
		for (uint32_t first = 0; first <= max_distance; first += at_once) {
			uint64_t empty = empty_near(h + first);
			uint32_t due = 0;
			for (uint32_t d = 0; timed && d < at_once; d++)
				due |= due_slots(h[first + d], t.tick) & ~static_cast<uint32_t>(empty >> d * slots_per_bucket);
			if (due & 0xffff) [[unlikely]]
				break;
			if (!empty) [[unlikely]]
				continue;
			auto at = static_cast<uint32_t>(std::countr_zero(empty));
			return {home.generation, home.bucket + first + at / slots_per_bucket, at % slots_per_bucket};
		}
		return {};
	}

	static uint8_t *insert(Table &t, Group &g, uint64_t digest, const uint8_t *key, bool timed,
	                       void *const *pinned, uint32_t nb_pinned)
	{
		Place home = locate(t, g, digest_position(digest));
		Slot to;
		if (t.flows < t.max_flows) [[likely]]
			to = empty_from(t, home, timed);
		if (!to && !(to = make_room(t, g, digest, timed, pinned, nb_pinned))) [[unlikely]]
			return nullptr;
		uint8_t *entry = entry_at(*to.generation, to.bucket, to.slot);
		std::memcpy(entry, key, KeySize);
		meta_of(entry) = {digest_position(digest), 0, 0, 0, 0};
		if (to.bucket != home.bucket || to.spill)
			note_residence(t, g, home, digest, to, entry);
		std::memset(state_of(entry), 0, Stride - KeySize - sizeof(EntryMeta));
		Header &h = to.header();
		h.tag[to.slot] = digest_tag(digest);
		h.deadline[to.slot] = static_cast<uint16_t>(t.tick + t.arm[0]);
		if (t.protected_classes & 1)
			set_bit(h.shielded, to.slot, true);
		if (t.patient_classes & 1)
			set_bit(h.patient, to.slot, true);
		t.flows++;
		t.inserted++;
		if (g.growing())
			g.debt += moves_per_insert;
		// Far spills below the growth point: the keys are not spread as they should be.
		if (to.spill > crowded_spill && g.flows * 2 > uint64_t{g.now.nb_buckets} * slots_per_bucket)
		    [[unlikely]]
			g.grow_at = std::min(g.grow_at, g.flows);
		if (++g.flows >= g.grow_at && !g.growing() && !(t.flags & CONNTRACK_FIXED_SIZE)) [[unlikely]]
			start_growth(t, g, false);
		return entry;
	}

	static bool remove_one(Table &t, const uint8_t *key, uint64_t digest, bool timed)
	{
		Group *g = t.groups[group_of(t, digest_position(digest))];
		if (!g) {
			t.not_owned++;
			return false;
		}
		Place home = locate(t, *g, digest_position(digest));
		Slot where;
		uint8_t *entry = find_from(*home.generation, home.bucket, 1, digest_tag(digest), key, where);
		if (!entry)
			entry = find_elsewhere(t, *g, home, digest, key, where);
		if (!entry)
			return false;
		bool dead = timed && is_due(where.header().deadline[where.slot], t.tick) &&
		            slot_is_dead(t, where.header(), where.slot, entry);
		vacate(t, *g, *where.generation, where.bucket, where.slot,
		       dead ? CONNTRACK_EXPIRED : CONNTRACK_REMOVED);
		return !dead;
	}
};

} // namespace reframer::conntrack
