// The way of a burst through the table: hash, prefetch, match tags, prefetch, verify, insert.
#pragma once

#include "conntrack/table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace reframer::conntrack {

// Keys that go through the steps together. Arrays for them live on the stack; more keys in one
// call are taken in overlapping pieces of this size.
constexpr uint32_t piece = 32;
// Pieces between the first touch of a bucket and its use, and between entry prefetch and use, when
// a call has enough keys: 4 * 32 = 128 first lines and 64 second lines in flight. Measured: 64
// leaves a third of the memory's rate unused, 256 overflows the queues and gains nothing.
constexpr uint32_t pieces_ahead = 4, entry_pieces_ahead = 2;

template <unsigned KeySize, unsigned Stride> struct Burst {
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

	static void digest(Table &t, const uint8_t *keys, const uint32_t *nic, uint32_t n, uint64_t *out)
	{
		for (uint32_t i = 0; i < n; i++) {
			uint64_t d = hash_key<KeySize>(t.hash_key, keys + size_t{i} * KeySize);
			if (t.flags & CONNTRACK_NIC_HASH)
				d = (d & ~uint64_t{0xffffffff}) | nic_position(t.hash_key, nic[i], t.group_bits);
			out[i] = d;
			if (Group *g = t.groups[group_of(t, digest_position(d))]) {
				Place p = locate(t, *g, digest_position(d));
				_mm_prefetch(&p.generation->headers[p.bucket], _MM_HINT_T0);
			}
		}
	}

	static void prefetch_entry(const uint8_t *entry)
	{
		for (unsigned at = 0; at < Stride; at += 64)
			_mm_prefetch(entry + at, _MM_HINT_T0);
		// Entries of one and a half lines may end in a third.
		if constexpr (Stride > 64 && Stride % 64)
			_mm_prefetch(entry + Stride - 1, _MM_HINT_T0);
	}

	static void prefetch(Table &t, const uint64_t *digests, uint32_t n)
	{
		for (uint32_t i = 0; i < n; i++) {
			Group *g = t.groups[group_of(t, digest_position(digests[i]))];
			if (!g)
				continue;
			Place p = locate(t, *g, digest_position(digests[i]));
			Header &h = p.header();
			uint8_t tag = digest_tag(digests[i]);
			uint32_t match = match_tag(h, tag);
			if (!match)
				match = h.filter & filter_bit(tag) ? 0 : empty_slots(h);
			if (match) [[likely]]
				prefetch_entry(entry_at(*p.generation, p.bucket,
				                        static_cast<uint32_t>(std::countr_zero(match))));
			else
				_mm_prefetch(&h + 1, _MM_HINT_T0);
		}
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
		if (h.nb_away)
			entry = find_from(*home.generation, home.bucket + 1, max_distance, tag, key, where);
		for (uint32_t i = 1; !entry && h.nb_spilled && i <= h.last_spill; i++) {
			Place spill = locate(t, g, spill_position(digest, i));
			entry = find_from(*spill.generation, spill.bucket, max_distance + 1, tag, key, where);
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

	static uint8_t *insert(Table &t, Group &g, uint64_t digest, const uint8_t *key, bool timed,
	                       void *const *pinned, uint32_t nb_pinned)
	{
		Place home = locate(t, g, digest_position(digest));
		uint32_t empty = empty_slots(home.header());
		Slot to;
		bool at_home = empty && t.flows < t.max_flows;
		if (at_home) [[likely]]
			to = {home.generation, home.bucket, static_cast<uint32_t>(std::countr_zero(empty))};
		else if (!(to = make_room(t, g, digest, timed, pinned, nb_pinned)))
			return nullptr;
		uint8_t *entry = entry_at(*to.generation, to.bucket, to.slot);
		std::memcpy(entry, key, KeySize);
		meta_of(entry) = {digest_position(digest), 0, 0, 0};
		if (!at_home)
			note_residence(t, g, digest, to, entry);
		std::memset(state_of(entry), 0, Stride - KeySize - sizeof(EntryMeta));
		Header &h = to.header();
		h.tag[to.slot] = digest_tag(digest);
		h.deadline[to.slot] = static_cast<uint16_t>(t.tick + t.arm[0]);
		if (t.protected_classes & 1)
			h.shielded |= static_cast<uint16_t>(1u << to.slot);
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

	// What step 2 found out about a key, for step 3.
	struct Candidate {
		Header *header;
		uint8_t *entry; // of the first slot with the tag, or NULL
		uint32_t slot;
	};

	template <bool Insert>
	static void match(Table &t, const uint64_t *digests, uint32_t n, Candidate *out)
	{
		for (uint32_t i = 0; i < n; i++) {
			Group *g = t.groups[group_of(t, digest_position(digests[i]))];
			if (!g) [[unlikely]] {
				out[i] = {nullptr, nullptr, 0};
				continue;
			}
			Place p = locate(t, *g, digest_position(digests[i]));
			Header &h = p.header();
			uint8_t tag = digest_tag(digests[i]);
			uint32_t m = match_tag(h, tag);
			auto slot = static_cast<uint32_t>(std::countr_zero(m | 1u << 16));
			uint8_t *entry = entry_at(*p.generation, p.bucket, slot % slots_per_bucket);
			out[i] = {&h, m ? entry : nullptr, slot % slots_per_bucket};
			if (m) {
				prefetch_entry(entry);
			} else if (h.filter & filter_bit(tag)) {
				_mm_prefetch(&h + 1, _MM_HINT_T0);
			} else if constexpr (Insert) {
				if (uint32_t empty = empty_slots(h))
					prefetch_entry(entry_at(*p.generation, p.bucket,
					                        static_cast<uint32_t>(std::countr_zero(empty))));
			}
		}
	}

	template <bool Insert, bool Timed>
	static uint32_t finish(Table &t, const uint8_t *keys, const uint64_t *digests,
	                       const Candidate *candidates, uint32_t first, uint32_t n, void **states,
	                       uint8_t *results)
	{
		uint32_t found = 0;
		for (uint32_t i = first; i < first + n; i++) {
			const Candidate &c = candidates[i - first];
			const uint8_t *key = keys + size_t{i} * KeySize;
			if (Insert && results)
				results[i] = 0;
			// The tag again: an earlier key of this burst may have changed the slot.
			if (c.entry && same_key(c.entry, key) &&
			    (!Insert || c.header->tag[c.slot] == digest_tag(digests[i])) &&
			    (!Timed || !is_due(c.header->deadline[c.slot], t.tick))) [[likely]] {
				if constexpr (Timed)
					refresh(t, *c.header, c.slot, c.entry);
				states[i] = state_of(c.entry);
				found++;
				continue;
			}
			states[i] = nullptr;
			if (!Insert && !c.entry && c.header &&
			    !(c.header->filter & filter_bit(digest_tag(digests[i]))))
				continue;
			if (!c.header) [[unlikely]] {
				t.not_owned++;
				continue;
			}
			Group &g = *t.groups[group_of(t, digest_position(digests[i]))];
			uint8_t *entry = find_live(t, g, digests[i], key, Timed);
			if (Insert && !entry) {
				entry = insert(t, g, digests[i], key, Timed, states, i);
				if (results && entry)
					results[i] = CONNTRACK_NEW;
			}
			if (entry) {
				states[i] = state_of(entry);
				found++;
			}
		}
		return found;
	}

	// Runs the three steps, pieces of a long call overlapping.
	template <bool Insert, bool Timed>
	static uint32_t run(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                    void **states, uint8_t *results)
	{
		// Digests live from their first step to the end of their last.
		constexpr uint32_t ring = pieces_ahead + entry_pieces_ahead + 1;
		uint64_t own[ring][piece];
		Candidate candidates[entry_pieces_ahead + 1][piece];
		uint32_t nb_pieces = (n + piece - 1) / piece, found = 0;
		auto size_of = [&](uint32_t p) { return std::min(piece, n - p * piece); };
		auto digests_of = [&](uint32_t p) {
			return digests ? digests + size_t{p} * piece : own[p % ring];
		};
		auto step_one = [&](uint32_t p) {
			if (!digests)
				digest(t, keys + size_t{p} * piece * KeySize, nullptr, size_of(p),
				       own[p % ring]);
			else
				touch(t, digests_of(p), size_of(p));
		};
		for (uint32_t p = 0; p < std::min(pieces_ahead, nb_pieces); p++)
			step_one(p);
		for (uint32_t p = 0; p < nb_pieces + entry_pieces_ahead; p++) {
			if (p + pieces_ahead < nb_pieces)
				step_one(p + pieces_ahead);
			if (p < nb_pieces)
				match<Insert>(t, digests_of(p), size_of(p),
				              candidates[p % (entry_pieces_ahead + 1)]);
			if (p < entry_pieces_ahead)
				continue;
			uint32_t done = p - entry_pieces_ahead;
			found += finish<Insert, Timed>(t, keys, digests_of(done) - size_t{done} * piece,
			                               candidates[done % (entry_pieces_ahead + 1)],
			                               done * piece, size_of(done), states, results);
		}
		return found;
	}

	static void touch(Table &t, const uint64_t *digests, uint32_t n)
	{
		for (uint32_t i = 0; i < n; i++)
			if (Group *g = t.groups[group_of(t, digest_position(digests[i]))]) {
				Place p = locate(t, *g, digest_position(digests[i]));
				_mm_prefetch(&p.generation->headers[p.bucket], _MM_HINT_T0);
			}
	}

	static uint32_t find(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                     bool timed, void **states)
	{
		return timed ? run<false, true>(t, keys, digests, n, states, nullptr)
		             : run<false, false>(t, keys, digests, n, states, nullptr);
	}

	static uint32_t find_or_insert(Table &t, const uint8_t *keys, const uint64_t *digests,
	                               uint32_t n, bool timed, void **states, uint8_t *results)
	{
		return timed ? run<true, true>(t, keys, digests, n, states, results)
		             : run<true, false>(t, keys, digests, n, states, results);
	}

	static uint32_t remove(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                       bool timed)
	{
		uint64_t own[piece];
		uint32_t removed = 0;
		for (uint32_t p = 0; p < n; p += piece) {
			uint32_t count = std::min(piece, n - p);
			const uint64_t *d = digests ? digests + p : own;
			if (!digests)
				digest(t, keys + size_t{p} * KeySize, nullptr, count, own);
			prefetch(t, d, count);
			for (uint32_t i = 0; i < count; i++)
				removed += remove_one(t, keys + size_t{p + i} * KeySize, d[i], timed);
		}
		return removed;
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
