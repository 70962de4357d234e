// The steps of a burst: where keys are at home, which entries may be theirs, which of them are.
//
// They work on pieces of 32 keys. What one leaves for the next lies in arrays rather than in
// one record a key, so that the compiler can take 8 keys (AVX-512) or 4 (AVX2) at a time, and the
// way of a key that is where it should be has no branch that goes now this way, now that.
#pragma once

#include "conntrack/one_key.hpp"

namespace reframer::conntrack {

// Keys that go through a step together; more keys in one call are taken in overlapping pieces.
constexpr uint32_t piece = 32;

// Home of keys whose group is detached: no tag matches, and its filter sends every key the slow
// way, where such keys are counted.
inline constexpr Header no_home = {.tag = {}, .deadline = {}, .guest = 0, .patient = 0,
                                   .filter = UINT32_MAX, .nb_spilled = 0, .shielded = 0,
                                   .nb_away = 0, .reach = 0, .last_spill = 0};

template <unsigned KeySize, unsigned Stride> struct Steps : OneKey<KeySize, Stride> {
	using One = OneKey<KeySize, Stride>;

	// What step 1 leaves of a piece.
	struct alignas(64) Homes {
		const Header *header[piece];
		uint8_t *entries[piece];  // of that bucket
		uint32_t filter[piece];   // filter_bit() of the tag
		uint8_t tag[piece];
		uint32_t flooded;         // bit per key whose first spill home stands here instead
	};
	// What step 2 leaves of a key that may be there: the first slot with its tag.
	struct Candidate {
		uint8_t *entry;
		uint16_t *deadline;
		uint32_t index; // in its piece
	};
	struct Candidates {
		Candidate of[piece];
		uint32_t nb;
		uint32_t unsettled; // bit per key that step 3 has to look up
		uint32_t late;      // of these, those that were looked for away from home
	};

	// Where digests lead. Simple: one group that is not growing, the state of most tables most of
	// the time; its fields then stay in registers. Growth that starts during a call moves nothing
	// before the next one, so a view holds for a call.
	template <bool Simple> struct View {
		Table &t;
		Header *headers = nullptr;
		uint8_t *entries = nullptr;
		uint64_t nb_buckets = 0;
		const Flooded *flooded = nullptr; // NULL where no home is

		explicit View(Table &table) : t(table)
		{
			if constexpr (Simple) {
				const Generation &gen = table.groups[0]->now;
				headers = gen.headers;
				entries = gen.entries;
				nb_buckets = gen.nb_buckets;
				if (table.groups[0]->flooded.nb) [[unlikely]]
					flooded = &table.groups[0]->flooded;
			}
		}

		// Header, and entries, of the key's first spill home.
		const Header &spill_header(uint64_t digest, uint8_t **first = nullptr) const
		{
			uint32_t position = spill_position(digest, 1);
			Place p = locate(t, *t.groups[group_of(t, digest_position(digest))], position);
			if (first)
				*first = One::entry_at(*p.generation, p.bucket, 0);
			return p.header();
		}

		// Keys of flooded homes are looked for at their first spill homes at once: there most are.
		[[gnu::noinline]] void redirect(const Flooded &known, const uint64_t *digests, uint32_t first,
		                                uint32_t n, Homes &out) const
		{
			for (uint32_t i = first; i < n; i++)
				if (known.has(digest_position(digests[i]))) {
					out.header[i] = &spill_header(digests[i], &out.entries[i]);
					out.flooded |= 1u << i;
				}
		}

		// `n` up to `piece`.
		[[gnu::always_inline]] void homes(const uint64_t *digests, uint32_t n, Homes &out) const
		{
			out.flooded = 0;
			if constexpr (Simple) {
				uint32_t i = 0;
				for (; i + 8 <= n; i += 8)
					eight_homes(digests + i, out, i);
				if (i < n) [[unlikely]] {
					uint64_t last[8] = {};
					std::memcpy(last, digests + i, (n - i) * sizeof(uint64_t));
					eight_homes(last, out, i);
				}
				if (flooded) [[unlikely]]
					redirect(*flooded, digests, 0, n, out);
			} else {
				for (uint32_t i = 0; i < n; i++) {
					out.tag[i] = digest_tag(digests[i]);
					out.filter[i] = filter_bit(out.tag[i]);
					Group *g = t.groups[group_of(t, digest_position(digests[i]))];
					if (!g) [[unlikely]] {
						out.header[i] = &no_home;
						out.entries[i] = nullptr;
						continue;
					}
					Place p = locate(t, *g, digest_position(digests[i]));
					out.header[i] = &p.header();
					out.entries[i] = One::entry_at(*p.generation, p.bucket, 0);
					if (g->flooded.nb) [[unlikely]]
						redirect(g->flooded, digests, i, i + 1, out);
				}
			}
		}

		[[gnu::always_inline]] void eight_homes(const uint64_t *digests, Homes &out, uint32_t at) const
		{
			using Words = uint64_t __attribute__((vector_size(64)));
			using Halves = uint32_t __attribute__((vector_size(32)));
			using Bytes = uint8_t __attribute__((vector_size(8)));
			Words d;
			std::memcpy(&d, digests, sizeof(d));
			Words bucket = (d & 0xffffffff) * nb_buckets >> 32;
			Words header = bucket * sizeof(Header) + reinterpret_cast<uintptr_t>(headers);
			Words first = bucket * (slots_per_bucket * Stride) + reinterpret_cast<uintptr_t>(entries);
			Words tag = d >> 56;
			tag -= tag == 0; // true is -1
			Words filter = uint64_t{1} << (tag & 31);
			std::memcpy(out.header + at, &header, sizeof(header));
			std::memcpy(out.entries + at, &first, sizeof(first));
			auto bits = __builtin_convertvector(filter, Halves);
			std::memcpy(out.filter + at, &bits, sizeof(bits));
			auto tags = __builtin_convertvector(tag, Bytes);
			std::memcpy(out.tag + at, &tags, sizeof(tags));
		}
	};
	static bool is_simple(const Table &t)
	{
		return t.group_bits == 0 && t.groups[0] && !t.groups[0]->growing();
	}

	// Keys of a piece in one direction. @return bit per key that was turned round.
	[[gnu::noinline]] static uint32_t turn_keys(const uint8_t *keys, uint32_t n, uint8_t *out)
	{
		uint32_t swapped = 0;
		std::memcpy(out, keys, size_t{n} * KeySize);
		for (uint32_t i = 0; i < n; i++)
			swapped |= static_cast<uint32_t>(conntrack_key_symmetric(out + size_t{i} * KeySize, KeySize)) << i;
		return swapped;
	}
	[[gnu::always_inline]] static void touch(const Homes &homes, uint32_t n)
	{
		for (uint32_t i = 0; i < n; i++)
			_mm_prefetch(homes.header[i], _MM_HINT_T0);
	}

	// The buckets behind a home: a key that is away is mostly in the first, a new one may need all.
	template <bool Insert> [[gnu::always_inline]] static void touch_next(const Header &h)
	{
		for (uint32_t d = 1; d <= (Insert ? near_distance : 1); d++)
			_mm_prefetch(&h + d, _MM_HINT_T0);
	}

	// Step 2. @return bit per key that may live, or will have to live, elsewhere than at home:
	// these go through match_away() later, when its lines have come.
	template <bool Insert, typename V>
	[[gnu::always_inline]] static uint32_t match(const V &view, const uint64_t *digests,
	                                             const Homes &homes, uint32_t n, Candidates &out)
	{
		uint32_t nb = 0, unsettled = 0, away = 0;
		for (uint32_t i = 0; i < n; i++) {
			const Header &h = *homes.header[i];
			uint32_t m = match_tag(h, homes.tag[i]);
			if (m) [[likely]] {
				auto slot = static_cast<uint32_t>(std::countr_zero(m));
				uint8_t *entry = homes.entries[i] + size_t{slot} * Stride;
				One::prefetch_entry(entry);
				out.of[nb++] = {entry, const_cast<uint16_t *>(h.deadline) + slot, i};
				// One hit in 40 has a stranger's tag before its own: fetch both.
				if (uint32_t rest = m & (m - 1)) [[unlikely]]
					One::prefetch_entry(homes.entries[i] + size_t(std::countr_zero(rest)) * Stride);
				continue;
			}
			if (h.filter & homes.filter[i] || homes.flooded >> i & 1) [[unlikely]] {
				away |= 1u << i;
				touch_next<Insert>(h);
				if (h.nb_spilled > many_spilled) [[unlikely]]
					_mm_prefetch(&view.spill_header(digests[i]), _MM_HINT_T0);
			} else if constexpr (Insert) {
				unsettled |= 1u << i;
				if (uint32_t empty = empty_slots(h)) {
					One::prefetch_entry(homes.entries[i] + size_t(std::countr_zero(empty)) * Stride);
				} else {
					away |= 1u << i;
					touch_next<Insert>(h);
				}
			}
		}
		out.nb = nb;
		out.unsettled = unsettled;
		out.late = away;
		return away;
	}

	// Between steps 2 and 3, for the one key in thirty that does not live at home: one that step 3
	// would meet cold costs as much as twenty that it finds.
	template <bool Insert, typename V>
	[[gnu::noinline]] static void match_away(const V &view, const uint64_t *digests,
	                                         const Homes &homes, uint32_t away, Candidates &out)
	{
		asm volatile(""); // gcc drops calls of what only prefetches
		for (; away; away &= away - 1) {
			auto i = static_cast<uint32_t>(std::countr_zero(away));
			const Header *h = homes.header[i];
			if (h == &no_home) {
				out.unsettled |= 1u << i;
				continue;
			}
			auto take = [&](const Header &at, uint8_t *entries) {
				uint32_t m = match_tag(at, homes.tag[i]);
				if (!m)
					return false;
				auto slot = static_cast<uint32_t>(std::countr_zero(m));
				out.of[out.nb++] = {entries + size_t{slot} * Stride,
				                    const_cast<uint16_t *>(at.deadline) + slot, i};
				One::prefetch_entry(entries + size_t{slot} * Stride);
				return true;
			};
			bool taken = false;
			if (homes.flooded >> i & 1) {
				for (uint32_t d = 1; !taken && d <= near_distance; d++)
					taken = take(h[d], homes.entries[i] + size_t{d} * slots_per_bucket * Stride);
			} else if (h->filter & homes.filter[i]) {
				if (h->nb_spilled > many_spilled) [[unlikely]] {
					uint8_t *entries;
					const Header &spill = view.spill_header(digests[i], &entries);
					taken = take(spill, entries);
				}
				for (uint32_t d = 1; !taken && d <= h->reach; d++)
					taken = take(h[d], homes.entries[i] + size_t{d} * slots_per_bucket * Stride);
			}
			// Step 2 may have given it up before an earlier piece inserted it: settled once is enough.
			if (taken)
				out.unsettled &= ~(1u << i);
			if (taken || (!Insert && !h->nb_spilled && !(homes.flooded >> i & 1)))
				continue;
			out.unsettled |= 1u << i;
			if constexpr (Insert)
				prefetch_room(view, digests[i], *h, homes.entries[i]);
		}
	}

	// The place that a new key will get whose home `h` is full.
	template <typename V>
	static void prefetch_room(const V &view, uint64_t digest, const Header &h, uint8_t *entries)
	{
		if (uint64_t empty = empty_near(&h)) {
			One::prefetch_entry(entries + size_t(std::countr_zero(empty)) * Stride);
			return;
		}
		for (uint32_t d = near_distance + 1; d <= max_distance; d++)
			_mm_prefetch(&h + d, _MM_HINT_T0);
		const Header &spill = view.spill_header(digest);
		_mm_prefetch(&spill, _MM_HINT_T0);
		_mm_prefetch(&spill + 1, _MM_HINT_T0);
	}

	// What step 3 needs to know of the table.
	struct Clock {
		uint64_t tick;
		uint16_t deadline[CONNTRACK_NB_CLASSES]; // of an entry whose packet comes now

		explicit Clock(const Table &t) : tick(t.tick)
		{
			for (unsigned c = 0; c < CONNTRACK_NB_CLASSES; c++)
				deadline[c] = static_cast<uint16_t>(t.tick + t.arm[c]);
		}
	};

	// A packet for this entry. Its deadline is stored whether it changes or not: packets of one tick
	// and of the next come mixed, so a branch would be missed more often than a line stays clean.
	// @return false: it is dead or vacant, or may be.
	[[gnu::always_inline]] static bool in_time(const Clock &clock, EntryMeta &meta, uint16_t &deadline)
	{
		uint32_t word;
		std::memcpy(&word, reinterpret_cast<const uint8_t *>(&meta) + 4, 4);
		if ((word & unusual_meta) || is_due(deadline, clock.tick)) [[unlikely]] {
			if (meta.idle == vacant_idle || is_due(deadline, clock.tick))
				return false;
			meta.idle = 0;
		}
		deadline = clock.deadline[word >> 28];
		return true;
	}

	// A stranger had the key's tag: others at home may have it too.
	[[gnu::always_inline]] static bool look_again(const Homes &homes, const uint8_t *key, Candidate &c)
	{
		const Header &h = *homes.header[c.index];
		for (uint32_t m = match_tag(h, homes.tag[c.index]); m; m &= m - 1) {
			auto slot = static_cast<uint32_t>(std::countr_zero(m));
			c.entry = homes.entries[c.index] + size_t{slot} * Stride;
			c.deadline = const_cast<uint16_t *>(h.deadline) + slot;
			if (One::same_key(c.entry, key))
				return true;
		}
		return false;
	}

	// Step 3. @return how many of the piece's keys have an entry. `states` and `results` are those
	// of the call, `first` is the piece's first key.
	template <bool Insert, bool Timed>
	[[gnu::always_inline]] static uint32_t finish(Table &t, const Clock &clock, const uint8_t *keys,
	                                              const uint64_t *digests, const Homes &homes,
	                                              const Candidates &candidates, uint32_t n,
	                                              uint32_t first, uint32_t swapped, void **states,
	                                              uint8_t *results)
	{
		std::memset(states + first, 0, n * sizeof(void *));
		if (Insert && results)
			std::memset(results + first, 0, n);
		uint32_t found = 0, unsettled = candidates.unsettled;
		for (uint32_t j = 0; j < candidates.nb; j++) {
			Candidate c = candidates.of[j];
			const uint8_t *key = keys + size_t{c.index} * KeySize;
			if (!One::same_key(c.entry, key) && !look_again(homes, key, c)) [[unlikely]] {
				if (Insert || homes.header[c.index]->filter & homes.filter[c.index] ||
				    homes.flooded >> c.index & 1)
					unsettled |= 1u << c.index;
				continue;
			}
			EntryMeta &meta = One::meta_of(c.entry);
			if (Timed ? !in_time(clock, meta, *c.deadline) : meta.idle == vacant_idle) [[unlikely]] {
				unsettled |= 1u << c.index;
				continue;
			}
			states[first + c.index] = One::state_of(c.entry);
			found++;
		}
		// One kind after the other: where half of the homes are full, branches then know which comes.
		// The same key twice is of the same kind.
		for (uint32_t kind : {unsettled & ~candidates.late, unsettled & candidates.late})
			for (; kind; kind &= kind - 1) {
				auto i = static_cast<uint32_t>(std::countr_zero(kind));
				found += resolve<Insert, Timed>(t, keys + size_t{i} * KeySize, digests[i], first + i,
				                                first + n, swapped >> i & 1, states, results);
			}
		if (Insert && results && t.flags & CONNTRACK_SYMMETRIC) [[unlikely]]
			note_directions(n, swapped, states + first, results + first);
		return found;
	}

	static void note_directions(uint32_t n, uint32_t swapped, void **states, uint8_t *results)
	{
		for (uint32_t i = 0; i < n; i++) {
			if (!states[i])
				continue;
			EntryMeta &meta = One::meta_of(static_cast<uint8_t *>(states[i]) - sizeof(EntryMeta) - KeySize);
			if (meta.swapped != (swapped >> i & 1))
				results[i] |= CONNTRACK_REPLY;
		}
	}

	// A key that its first look did not settle: number `i` of the call. states[0..known) are in use.
	template <bool Insert, bool Timed>
	[[gnu::noinline]] static bool resolve(Table &t, const uint8_t *key, uint64_t digest, uint32_t i,
	                                      uint32_t known, bool swapped, void **states,
	                                      uint8_t *results)
	{
		Group *g = t.groups[group_of(t, digest_position(digest))];
		if (!g) [[unlikely]] {
			t.not_owned++;
			return false;
		}
		uint8_t *entry = One::find_live(t, *g, digest, key, Timed);
		if (Insert && !entry) {
			entry = One::insert(t, *g, digest, key, Timed, states, known);
			if (entry) {
				One::meta_of(entry).swapped = swapped;
				if (results)
					results[i] = CONNTRACK_NEW;
			}
		}
		if (entry)
			states[i] = One::state_of(entry);
		return entry != nullptr;
	}
};

} // namespace reframer::conntrack
