// The way of a burst through the table: hash, prefetch, match tags, prefetch, verify, insert.
#pragma once

#include "conntrack/table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace reframer::conntrack {

// Keys that go through a step together; more keys in one call are taken in overlapping pieces.
constexpr uint32_t piece = 32;
// Pieces between the first touch of a bucket and the match of its tags, and between an entry's
// prefetch and its use, when a call has enough keys: 128 first lines and 64 second lines in flight.
constexpr uint32_t pieces_ahead = 4, entry_pieces_ahead = 2;

// Tables up to this size are searched key by key: 1 MiB is a core's second-level cache on today's
// servers, whose latency the processor hides by itself.
constexpr size_t direct_bytes = size_t{1} << 20;

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

	// Where digests lead. Simple: one group that is not growing, the state of most tables most of
	// the time; its fields then stay in registers. Growth that starts during a call moves nothing
	// before the next one, so a view holds for a call.
	template <bool Simple> struct View {
		Table &t;
		Header *headers = nullptr;
		uint8_t *entries = nullptr;
		uint64_t nb_buckets = 0;

		explicit View(Table &table) : t(table)
		{
			if constexpr (Simple) {
				const Generation &gen = table.groups[0]->now;
				headers = gen.headers;
				entries = gen.entries;
				nb_buckets = gen.nb_buckets;
			}
		}
		// The home's header, NULL in a detached group; `bucket` is its first entry.
		Header *home(uint64_t digest, uint8_t *&bucket) const
		{
			if constexpr (Simple) {
				uint64_t b = digest_position(digest) * nb_buckets >> 32;
				bucket = entries + b * (slots_per_bucket * Stride);
				return headers + b;
			} else {
				Group *g = t.groups[group_of(t, digest_position(digest))];
				if (!g)
					return nullptr;
				Place p = locate(t, *g, digest_position(digest));
				bucket = entry_at(*p.generation, p.bucket, 0);
				return &p.header();
			}
		}
	};
	static bool is_simple(const Table &t)
	{
		return t.group_bits == 0 && t.groups[0] && !t.groups[0]->growing();
	}

	static void digest(Table &t, const uint8_t *keys, const uint32_t *nic, uint32_t n, uint64_t *out)
	{
		hash_keys<KeySize>(t.hash_key, keys, n, out);
		if (t.flags & CONNTRACK_NIC_HASH)
			for (uint32_t i = 0; i < n; i++)
				out[i] = (out[i] & ~uint64_t{0xffffffff}) |
				    nic_position(t.hash_key, nic[i], t.group_bits);
		if (is_simple(t))
			touch(View<true>(t), out, n);
		else
			touch(View<false>(t), out, n);
	}

	template <typename V>
	[[gnu::always_inline]] static void touch(const V &view, const uint64_t *digests, uint32_t n)
	{
		for (uint32_t i = 0; i < n; i++) {
			uint8_t *bucket;
			// Prefetching NULL does nothing.
			_mm_prefetch(view.home(digests[i], bucket), _MM_HINT_T0);
		}
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

	// What step 2 found out about a key, for step 3.
	struct Candidate {
		uintptr_t header_slot; // header's address, slot in its low bits
		uint8_t *entry;        // of the first slot with the tag, or NULL

		static constexpr uintptr_t more = 32; // other slots have the tag too
		Header *header() const { return reinterpret_cast<Header *>(header_slot & ~uintptr_t{63}); }
		uint32_t slot() const { return header_slot & 15; }
	};

	// Step 2. @return false for a key that is not at home but may be elsewhere: prefetch_away().
	template <bool Insert, typename V>
	[[gnu::always_inline]] static bool match(const V &view, uint64_t digest, Candidate &out)
	{
		uint8_t *bucket = nullptr;
		Header *h = view.home(digest, bucket);
		if (!h) [[unlikely]] {
			out = {0, nullptr};
			return true;
		}
		uint8_t tag = digest_tag(digest);
		if (uint32_t m = match_tag(*h, tag)) [[likely]] {
			auto slot = static_cast<uint32_t>(std::countr_zero(m));
			uint8_t *entry = bucket + size_t{slot} * Stride;
			uint32_t rest = m & (m - 1);
			prefetch_entry(entry);
			out = {reinterpret_cast<uintptr_t>(h) | slot | (rest ? Candidate::more : 0), entry};
			// One hit in 40 has a stranger's tag before its own: fetch both.
			if (rest) [[unlikely]]
				prefetch_entry(bucket + size_t(std::countr_zero(rest)) * Stride);
			return true;
		}
		out = {reinterpret_cast<uintptr_t>(h), nullptr};
		if (h->filter & filter_bit(tag)) {
			_mm_prefetch(h + 1, _MM_HINT_T0);
			return false;
		}
		if constexpr (Insert)
			if (uint32_t empty = empty_slots(*h))
				prefetch_entry(bucket + size_t(std::countr_zero(empty)) * Stride);
		return true;
	}

	// Between steps 2 and 3, for the one key in thirty that does not live at home: an entry that
	// step 3 would meet cold costs as much as twenty that it finds.
	[[gnu::noinline]] static void prefetch_away(Table &t, uint64_t digest)
	{
		asm volatile(""); // keeps the calls, as above
		Group *g = t.groups[group_of(t, digest_position(digest))];
		Place home = locate(t, *g, digest_position(digest));
		for (uint32_t b = home.bucket + 1; b <= home.bucket + max_distance; b++) {
			uint32_t m = match_tag(home.generation->headers[b], digest_tag(digest));
			if (!m)
				continue;
			prefetch_entry(entry_at(*home.generation, b, static_cast<uint32_t>(std::countr_zero(m))));
			break;
		}
		if (home.header().nb_spilled) {
			Place spill = locate(t, *g, spill_position(digest, 1));
			_mm_prefetch(&spill.header(), _MM_HINT_T0);
		}
	}

	static void prefetch(Table &t, const uint64_t *digests, uint32_t n)
	{
		if (is_simple(t))
			prefetch_entries(View<true>(t), digests, n);
		else
			prefetch_entries(View<false>(t), digests, n);
	}
	template <typename V>
	static void prefetch_entries(const V &view, const uint64_t *digests, uint32_t n)
	{
		asm volatile(""); // keeps the calls, as above
		uint64_t away[piece];
		for (uint32_t p = 0; p < n; p += piece) {
			uint32_t nb_away = 0;
			for (uint32_t i = p; i < std::min(p + piece, n); i++) {
				Candidate unused;
				if (!match<true>(view, digests[i], unused))
					away[nb_away++] = digests[i];
			}
			for (uint32_t i = 0; i < nb_away; i++)
				prefetch_away(view.t, away[i]);
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

	// Step 3 for key `i` of the call. @return whether it has an entry.
	template <bool Insert, bool Timed>
	[[gnu::always_inline]] static bool finish(Table &t, const uint8_t *key, uint64_t digest,
	                                          const Candidate c, uint32_t i, void **states,
	                                          uint8_t *results)
	{
		Header *h = c.header();
		// The tag again: an earlier key of this burst may have changed the slot.
		if (c.entry && same_key(c.entry, key) &&
		    (!Insert || h->tag[c.slot()] == digest_tag(digest)) &&
		    (!Timed || !is_due(h->deadline[c.slot()], t.tick))) [[likely]] {
			if constexpr (Timed)
				refresh(t, *h, c.slot(), c.entry);
			states[i] = state_of(c.entry);
			if (Insert && results)
				results[i] = 0;
			return true;
		}
		states[i] = nullptr;
		if (!Insert && h && !(c.header_slot & Candidate::more) &&
		    !(h->filter & filter_bit(digest_tag(digest))) && (!Timed || !c.entry))
			return false;
		if (Insert && results)
			results[i] = 0;
		if (!h) [[unlikely]] {
			t.not_owned++;
			return false;
		}
		return resolve<Insert, Timed>(t, key, digest, i, states, results);
	}

	// A key that its first look did not settle.
	template <bool Insert, bool Timed>
	[[gnu::noinline]] static bool resolve(Table &t, const uint8_t *key, uint64_t digest, uint32_t i,
	                                      void **states, uint8_t *results)
	{
		Group &g = *t.groups[group_of(t, digest_position(digest))];
		uint8_t *entry = find_live(t, g, digest, key, Timed);
		if (Insert && !entry) {
			entry = insert(t, g, digest, key, Timed, states, i);
			if (results && entry)
				results[i] = CONNTRACK_NEW;
		}
		if (entry)
			states[i] = state_of(entry);
		return entry != nullptr;
	}

	// Runs the three steps, pieces of a long call overlapping.
	template <bool Insert, bool Timed, typename V>
	static uint32_t run(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                    void **states, uint8_t *results)
	{
		// Digests live from their first step to the end of their last.
		constexpr uint32_t ring = pieces_ahead + entry_pieces_ahead + 1;
		constexpr uint32_t candidate_ring = entry_pieces_ahead + 1;
		uint64_t own[ring][piece];
		Candidate candidates[candidate_ring][piece];
		const V view(t);
		uint32_t nb_pieces = (n + piece - 1) / piece, found = 0;
		uint64_t away[piece];
		uint32_t nb_away = 0;
		auto size_of = [&](uint32_t p) { return std::min(piece, n - p * piece); };
		auto digests_of = [&](uint32_t p) {
			return digests ? digests + size_t{p} * piece : own[p % ring];
		};
		auto step_one = [&](uint32_t p) {
			if (digests)
				return; // conntrack_digest_burst() has touched them
			hash_keys<KeySize>(t.hash_key, keys + size_t{p} * piece * KeySize, size_of(p),
			                   own[p % ring]);
			touch(view, digests_of(p), size_of(p));
		};
		for (uint32_t p = 0; p < std::min(pieces_ahead, nb_pieces); p++)
			step_one(p);
		for (uint32_t p = 0; p < nb_pieces + entry_pieces_ahead; p++) {
			if (p + pieces_ahead < nb_pieces)
				step_one(p + pieces_ahead);
			// Those of the piece before: their next buckets have come by now.
			for (uint32_t i = 0; i < nb_away; i++)
				prefetch_away(t, away[i]);
			nb_away = 0;
			if (p < nb_pieces) {
				const uint64_t *d = digests_of(p);
				Candidate *c = candidates[p % candidate_ring];
				for (uint32_t i = 0, count = size_of(p); i < count; i++)
					if (!match<Insert>(view, d[i], c[i])) [[unlikely]]
						away[nb_away++] = d[i];
			}
			if (p < entry_pieces_ahead)
				continue;
			uint32_t done = p - entry_pieces_ahead, first = done * piece;
			const uint64_t *d = digests_of(done);
			const Candidate *c = candidates[done % candidate_ring];
			for (uint32_t i = 0, count = size_of(done); i < count; i++)
				found += finish<Insert, Timed>(t, keys + size_t{first + i} * KeySize, d[i], c[i],
				                               first + i, states, results);
		}
		return found;
	}

	// The three steps key by key, for tables that lie in the core's own caches.
	template <bool Insert, bool Timed>
	static uint32_t run_direct(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                           void **states, uint8_t *results)
	{
		uint64_t own[piece];
		const View<true> view(t);
		uint32_t found = 0;
		for (uint32_t first = 0; first < n; first += piece) {
			uint32_t count = std::min(piece, n - first);
			if (!digests)
				hash_keys<KeySize>(t.hash_key, keys + size_t{first} * KeySize, count, own);
			const uint64_t *d = digests ? digests + first : own;
			for (uint32_t i = 0; i < count; i++) {
				Candidate c;
				match<Insert>(view, d[i], c);
				found += finish<Insert, Timed>(t, keys + size_t{first + i} * KeySize, d[i], c,
				                               first + i, states, results);
			}
		}
		return found;
	}

	template <bool Insert>
	static uint32_t dispatch(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                         bool timed, void **states, uint8_t *results)
	{
		constexpr size_t bucket_bytes = sizeof(Header) + slots_per_bucket * Stride;
		if (is_simple(t) && t.groups[0]->now.nb_buckets * bucket_bytes <= direct_bytes)
			return timed ? run_direct<Insert, true>(t, keys, digests, n, states, results)
			             : run_direct<Insert, false>(t, keys, digests, n, states, results);
		if (is_simple(t))
			return timed ? run<Insert, true, View<true>>(t, keys, digests, n, states, results)
			             : run<Insert, false, View<true>>(t, keys, digests, n, states, results);
		return timed ? run<Insert, true, View<false>>(t, keys, digests, n, states, results)
		             : run<Insert, false, View<false>>(t, keys, digests, n, states, results);
	}

	static uint32_t find(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                     bool timed, void **states)
	{
		return dispatch<false>(t, keys, digests, n, timed, states, nullptr);
	}

	static uint32_t find_or_insert(Table &t, const uint8_t *keys, const uint64_t *digests,
	                               uint32_t n, bool timed, void **states, uint8_t *results)
	{
		return dispatch<true>(t, keys, digests, n, timed, states, results);
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
