// The way of a burst through the table: hash, prefetch, match tags, prefetch, verify, insert.
//
// The steps work on pieces of 32 keys. What one leaves for the next lies in arrays rather than in
// one record a key, so that the compiler can take 8 keys (AVX-512) or 4 (AVX2) at a time, and the
// way of a key that is where it should be has no branch that goes now this way, now that.
#pragma once

#include "conntrack/one_key.hpp"

namespace reframer::conntrack {

// Keys that go through a step together; more keys in one call are taken in overlapping pieces.
constexpr uint32_t piece = 32;
// Pieces between the first touch of a bucket and the match of its tags, and between an entry's
// prefetch and its use, when a call has enough keys: 128 first lines and 64 second lines in flight.
constexpr uint32_t pieces_ahead = 4, entry_pieces_ahead = 2;

// Tables up to this size are searched a piece at a time without prefetching buckets: 1 MiB is a
// core's second-level cache on today's servers, whose latency the processor hides by itself.
constexpr size_t direct_bytes = size_t{1} << 20;

// A home with more keys at spill homes than this is one that NIC hashes collide in: its keys are
// looked for at their spill homes first.
constexpr uint32_t many_spilled = 16;

// Home of keys whose group is detached: no tag matches, and its filter sends every key the slow
// way, where such keys are counted.
inline constexpr Header no_home = {.tag = {}, .deadline = {}, .version = 0, .filter = UINT32_MAX,
                                   .nb_spilled = 0, .shielded = 0, .nb_away = 0, .last_spill = 0};

template <unsigned KeySize, unsigned Stride> struct Burst : OneKey<KeySize, Stride> {
	using One = OneKey<KeySize, Stride>;

	// What step 1 leaves of a piece.
	struct alignas(64) Homes {
		const Header *header[piece];
		uint8_t *entries[piece];  // of that bucket
		uint32_t filter[piece];   // filter_bit() of the tag
		uint8_t tag[piece];
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
	};

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

		// Header, and entries, of the key's first spill home.
		const Header &spill_header(uint64_t digest, uint8_t **first = nullptr) const
		{
			uint32_t position = spill_position(digest, 1);
			Place p = locate(t, *t.groups[group_of(t, digest_position(digest))], position);
			if (first)
				*first = One::entry_at(*p.generation, p.bucket, 0);
			return p.header();
		}

		// `n` up to `piece`.
		[[gnu::always_inline]] void homes(const uint64_t *digests, uint32_t n, Homes &out) const
		{
			if constexpr (Simple) {
				uint32_t i = 0;
				for (; i + 8 <= n; i += 8)
					eight_homes(digests + i, out, i);
				if (i < n) [[unlikely]] {
					uint64_t last[8] = {};
					std::memcpy(last, digests + i, (n - i) * sizeof(uint64_t));
					eight_homes(last, out, i);
				}
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

	static void digest(Table &t, const uint8_t *keys, const uint32_t *nic, uint32_t n, uint64_t *out)
	{
		hash_keys<KeySize>(t.hash_key, keys, n, out);
		if (t.flags & CONNTRACK_NIC_HASH)
			for (uint32_t i = 0; i < n; i++)
				out[i] = (out[i] & ~uint64_t{0xffffffff}) |
				    nic_position(t.hash_key, nic[i], t.group_bits);
		if (is_simple(t))
			touch_all(View<true>(t), out, n);
		else
			touch_all(View<false>(t), out, n);
	}

	template <typename V> static void touch_all(const V &view, const uint64_t *digests, uint32_t n)
	{
		asm volatile(""); // gcc drops calls of what only prefetches
		Homes homes;
		for (uint32_t first = 0; first < n; first += piece) {
			uint32_t count = std::min(piece, n - first);
			view.homes(digests + first, count, homes);
			touch(homes, count);
		}
	}

	[[gnu::always_inline]] static void touch(const Homes &homes, uint32_t n)
	{
		for (uint32_t i = 0; i < n; i++)
			_mm_prefetch(homes.header[i], _MM_HINT_T0);
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
			if (h.filter & homes.filter[i]) [[unlikely]] {
				away |= 1u << i;
				_mm_prefetch(&h + 1, _MM_HINT_T0);
				if (h.nb_spilled > many_spilled) [[unlikely]]
					_mm_prefetch(&view.spill_header(digests[i]), _MM_HINT_T0);
			} else if constexpr (Insert) {
				unsettled |= 1u << i;
				if (uint32_t empty = empty_slots(h)) {
					One::prefetch_entry(homes.entries[i] + size_t(std::countr_zero(empty)) * Stride);
				} else {
					away |= 1u << i;
					_mm_prefetch(&h + 1, _MM_HINT_T0);
				}
			}
		}
		out.nb = nb;
		out.unsettled = unsettled;
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
			if (h->filter & homes.filter[i]) {
				if (h->nb_spilled > many_spilled) [[unlikely]] {
					uint8_t *entries;
					const Header &spill = view.spill_header(digests[i], &entries);
					taken = take(spill, entries);
				}
				for (uint32_t d = 1; !taken && h->nb_away && d <= max_distance; d++)
					taken = take(h[d], homes.entries[i] + size_t{d} * slots_per_bucket * Stride);
			}
			if (taken || (!Insert && !h->nb_spilled))
				continue;
			out.unsettled |= 1u << i;
			for (uint32_t d = 1; Insert && d <= max_distance; d++)
				if (uint32_t empty = empty_slots(h[d])) {
					auto slot = static_cast<uint32_t>(std::countr_zero(empty));
					One::prefetch_entry(homes.entries[i] + (size_t{d} * slots_per_bucket + slot) * Stride);
					break;
				}
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
		asm volatile(""); // gcc drops calls of what only prefetches
		Homes homes;
		Candidates unused;
		for (uint32_t first = 0; first < n; first += piece) {
			uint32_t count = std::min(piece, n - first);
			view.homes(digests + first, count, homes);
			if (uint32_t away = match<true>(view, digests + first, homes, count, unused))
				match_away<true>(view, digests + first, homes, away, unused);
		}
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

	// An entry whose deadline is not what a packet of this tick leaves there.
	// @return false: it is dead or vacant, or may be.
	[[gnu::always_inline]] static bool refresh_entry(const Clock &clock, EntryMeta &meta, uint16_t &deadline)
	{
		if (meta.idle == vacant_idle || is_due(deadline, clock.tick)) [[unlikely]]
			return false;
		// Stored only when it changes: at most once a tick, so lines stay clean.
		uint16_t fresh = clock.deadline[meta.timeout_class];
		if (deadline != fresh)
			deadline = fresh;
		if (meta.idle)
			meta.idle = 0;
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
	                                              uint32_t first, void **states, uint8_t *results)
	{
		std::memset(states + first, 0, n * sizeof(void *));
		if (Insert && results)
			std::memset(results + first, 0, n);
		uint32_t found = 0, unsettled = candidates.unsettled;
		for (uint32_t j = 0; j < candidates.nb; j++) {
			Candidate c = candidates.of[j];
			const uint8_t *key = keys + size_t{c.index} * KeySize;
			if (!One::same_key(c.entry, key) && !look_again(homes, key, c)) [[unlikely]] {
				if (Insert || homes.header[c.index]->filter & homes.filter[c.index])
					unsettled |= 1u << c.index;
				continue;
			}
			EntryMeta &meta = One::meta_of(c.entry);
			if constexpr (Timed) {
				uint32_t word;
				std::memcpy(&word, reinterpret_cast<const uint8_t *>(&meta) + 4, 4);
				if ((*c.deadline ^ clock.deadline[word >> 28]) | word << 4)
					if (!refresh_entry(clock, meta, *c.deadline)) [[unlikely]] {
						unsettled |= 1u << c.index;
						continue;
					}
			} else if (meta.idle == vacant_idle) [[unlikely]] {
				unsettled |= 1u << c.index;
				continue;
			}
			states[first + c.index] = One::state_of(c.entry);
			found++;
		}
		for (; unsettled; unsettled &= unsettled - 1) {
			auto i = static_cast<uint32_t>(std::countr_zero(unsettled));
			found += resolve<Insert, Timed>(t, keys + size_t{i} * KeySize, digests[i], first + i,
			                                first + n, states, results);
		}
		return found;
	}

	// A key that its first look did not settle: number `i` of the call. states[0..known) are in use.
	template <bool Insert, bool Timed>
	[[gnu::noinline]] static bool resolve(Table &t, const uint8_t *key, uint64_t digest, uint32_t i,
	                                      uint32_t known, void **states, uint8_t *results)
	{
		Group *g = t.groups[group_of(t, digest_position(digest))];
		if (!g) [[unlikely]] {
			t.not_owned++;
			return false;
		}
		uint8_t *entry = One::find_live(t, *g, digest, key, Timed);
		if (Insert && !entry) {
			entry = One::insert(t, *g, digest, key, Timed, states, known);
			if (results && entry)
				results[i] = CONNTRACK_NEW;
		}
		if (entry)
			states[i] = One::state_of(entry);
		return entry != nullptr;
	}

	// Runs the three steps, pieces of a long call overlapping: step 1 `Ahead` pieces before step 2,
	// that `EntryAhead` before step 3.
	template <bool Insert, bool Timed, uint32_t Ahead, uint32_t EntryAhead, typename V>
	static uint32_t run(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                    void **states, uint8_t *results)
	{
		// What a step leaves lives from there to the end of the last.
		constexpr uint32_t ring = std::bit_ceil(Ahead + EntryAhead + 1);
		constexpr uint32_t candidate_ring = std::bit_ceil(EntryAhead + 1);
		alignas(64) uint64_t own[ring][piece];
		Homes homes[ring];
		Candidates candidates[candidate_ring];
		const V view(t);
		const Clock clock(t);
		uint32_t nb_pieces = (n + piece - 1) / piece, found = 0;
		uint32_t away = 0;
		auto size_of = [&](uint32_t p) { return std::min(piece, n - p * piece); };
		auto digests_of = [&](uint32_t p) -> const uint64_t * {
			return digests ? digests + size_t{p} * piece : own[p % ring];
		};
		auto step_one = [&](uint32_t p) {
			uint32_t count = size_of(p);
			if (!digests)
				hash_keys<KeySize>(t.hash_key, keys + size_t{p} * piece * KeySize, count, own[p % ring]);
			view.homes(digests_of(p), count, homes[p % ring]);
			// conntrack_digest_burst() has touched what digests lead to.
			if (Ahead && !digests)
				touch(homes[p % ring], count);
		};
		for (uint32_t p = 0; p < std::min(Ahead, nb_pieces); p++)
			step_one(p);
		for (uint32_t p = 0; p < nb_pieces + EntryAhead; p++) {
			if (p + Ahead < nb_pieces)
				step_one(p + Ahead);
			auto step_away = [&](uint32_t q) {
				if (away) [[unlikely]]
					match_away<Insert>(view, digests_of(q), homes[q % ring], away,
					                   candidates[q % candidate_ring]);
				away = 0;
			};
			if (EntryAhead > 0)
				step_away(p - 1); // their next buckets have come by now
			if (p < nb_pieces)
				away = match<Insert>(view, digests_of(p), homes[p % ring], size_of(p),
				                     candidates[p % candidate_ring]);
			if (EntryAhead == 0)
				step_away(p);
			if (p < EntryAhead)
				continue;
			uint32_t done = p - EntryAhead, first = done * piece;
			found += finish<Insert, Timed>(t, clock, keys + size_t{first} * KeySize, digests_of(done),
			                               homes[done % ring], candidates[done % candidate_ring],
			                               size_of(done), first, states, results);
		}
		return found;
	}

	template <bool Insert, bool Timed>
	static uint32_t dispatch(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                         void **states, uint8_t *results)
	{
		constexpr size_t bucket_bytes = sizeof(Header) + slots_per_bucket * Stride;
		if (!is_simple(t))
			return run<Insert, Timed, pieces_ahead, entry_pieces_ahead, View<false>>(
			    t, keys, digests, n, states, results);
		if (t.groups[0]->now.nb_buckets * bucket_bytes <= direct_bytes)
			return run<Insert, Timed, 0, 0, View<true>>(t, keys, digests, n, states, results);
		return run<Insert, Timed, pieces_ahead, entry_pieces_ahead, View<true>>(
		    t, keys, digests, n, states, results);
	}

	static uint32_t find(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                     bool timed, void **states)
	{
		return timed ? dispatch<false, true>(t, keys, digests, n, states, nullptr)
		             : dispatch<false, false>(t, keys, digests, n, states, nullptr);
	}

	static uint32_t find_or_insert(Table &t, const uint8_t *keys, const uint64_t *digests,
	                               uint32_t n, bool timed, void **states, uint8_t *results)
	{
		return timed ? dispatch<true, true>(t, keys, digests, n, states, results)
		             : dispatch<true, false>(t, keys, digests, n, states, results);
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
				removed += One::remove_one(t, keys + size_t{p + i} * KeySize, d[i], timed);
		}
		return removed;
	}
};

} // namespace reframer::conntrack
