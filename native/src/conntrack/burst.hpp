// The way of a burst through the table: hash, prefetch, compare; then one by one what is missing.
#pragma once

#include "conntrack/steps.hpp"

#include <algorithm>
#include <bit>

namespace reframer::conntrack {

inline namespace REFRAMER_ISA {

// Keys whose misses are settled together.
constexpr uint32_t piece = 32;
// Keys of a long call between the prefetch of their lines and their use: where memory's rate levels
// off. Calls of up to this many keys ask for all lines first.
constexpr uint32_t keys_ahead = 128;
// Of what goes from step to step.
constexpr uint32_t ring = 256;
static_assert(ring >= keys_ahead + piece && ring % piece == 0);
static_assert(piece <= latest_followed);
// Calls with fewer keys take them one by one.
constexpr uint32_t worth_vectors = 4;
// Lookups after which the table thinks again about whether most of them miss.
constexpr uint32_t rethink_after = 2048;

template <unsigned KeySize> struct Burst {
	// What is under way between step one and step two.
	struct alignas(64) Way {
		uintptr_t home[ring], second[ring];
		uint64_t digest[ring];
		Token token[KeySize == 40 ? ring : 1];
		uint8_t turned[ring * KeySize]; // symmetric tables
		Region *region[ring];           // where there are several
		bool swapped[ring];
		bool unlisted[ring]; // `home` is not the line with the key's books
	};

	// `at` is where in the ring, `keys` and `given` those of the group; `n` up to `lanes`.
	[[gnu::always_inline]] static void step_one(Table &t, const Region &r, Way &way, uint32_t at,
	                                            const uint8_t *keys, const uint64_t *given,
	                                            uint32_t n, bool simple, bool home_only)
	{
		if (t.flags & CONNTRACK_SYMMETRIC) [[unlikely]] {
			uint8_t *turned = way.turned + size_t{at} * KeySize;
			std::memcpy(turned, keys, size_t{n} * KeySize);
			for (uint32_t i = 0; i < n; i++)
				way.swapped[at + i] =
					conntrack_key_symmetric(turned + size_t{i} * KeySize, KeySize) == 1;
			keys = turned;
		}
		uint64_t *digest = way.digest + at;
		if constexpr (KeySize == 40) {
			for (uint32_t i = 0; i < n; i++) {
				uint64_t wide[2];
				hash_wide<40>(t.hash_key, keys + size_t{i} * 40, wide);
				way.token[at + i] = {wide[0], wide[1]};
				digest[i] = given ? given[i] : wide[0];
			}
		} else if (given) {
			std::memcpy(digest, given, n * sizeof(uint64_t));
		} else {
			hash_keys<16>(t.hash_key, keys, n, digest);
		}
		for (uint32_t i = n; i < lanes; i++)
			digest[i] = 0;
		if (simple) [[likely]]
			eight_lines(r, digest, way.home + at, way.second + at);
		else
			lines_one_by_one(t, way, at);
		// conntrack_digest_burst() has asked for what digests lead to.
		if (given)
			return;
		for (uint32_t i = 0; i < n; i++)
			__builtin_prefetch(reinterpret_cast<const void *>(way.home[at + i]), 1);
		if (!home_only)
			for (uint32_t i = 0; i < n; i++)
				__builtin_prefetch(reinterpret_cast<const void *>(way.second[at + i]), 1);
	}

	// The last keys of a call that has not eight for them.
	[[gnu::noinline]] static void step_one_of_rest(Table &t, const Region &r, Way &way, uint32_t at,
	                                               const uint8_t *keys, const uint64_t *given,
	                                               uint32_t n, bool simple, bool home_only)
	{
		step_one(t, r, way, at, keys, given, n, simple, home_only);
	}

	[[gnu::noinline]] static void lines_one_by_one(Table &t, Way &way, uint32_t at)
	{
		for (uint32_t i = at; i < at + lanes; i++) {
			const uint64_t digest = way.digest[i];
			Group *g = t.groups[group_of(t, digest_position(digest))];
			if (!g) {
				way.unlisted[i] = false;
				way.home[i] = way.second[i] = reinterpret_cast<uintptr_t>(&no_home);
				way.region[i] = nullptr;
				continue;
			}
			Region &r = first_looked_in(*g, digest);
			way.unlisted[i] = r.stash;
			way.region[i] = &r;
			const Line *page = page_at(r, page_of(t, r, digest));
			way.home[i] = reinterpret_cast<uintptr_t>(page + digest_line(digest));
			way.second[i] =
				reinterpret_cast<uintptr_t>(page + (digest_line(digest) ^ digest_way(digest)));
		}
	}

	static Sought sought(const Table &t, const uint8_t *key, uint64_t digest, bool swapped)
	{
		if constexpr (KeySize == 16) {
			uint64_t words[2];
			std::memcpy(words, key, 16);
			return {key,
			        {words[0] ^ t.hash_key.round[0][0], words[1] ^ t.hash_key.round[0][1]},
			        digest,
			        swapped};
		} else {
			uint64_t wide[2];
			hash_wide<40>(t.hash_key, key, wide);
			return {key, {wide[0], wide[1]}, digest, swapped};
		}
	}

	// One key, however it comes.
	template <typename Do>
	static void one(Table &t, const uint8_t *key, const uint64_t *given, Do act)
	{
		uint8_t turned[KeySize];
		bool swapped = false;
		if (t.flags & CONNTRACK_SYMMETRIC) {
			std::memcpy(turned, key, KeySize);
			swapped = conntrack_key_symmetric(turned, KeySize) == 1;
			key = turned;
		}
		act(sought(t, key, given ? *given : hash_key<KeySize>(t.hash_key, key), swapped));
	}

	// Entries that hits of a piece lead to: bodies hold key or state, and some pass for hits by
	// their tokens alone.
	[[gnu::noinline]] static uint32_t bodies(Table &t, Way &way, uint32_t at, const uint8_t *keys,
	                                         uint32_t hits, bool simple, const uintptr_t *word,
	                                         void **states)
	{
		uint8_t *body[piece];
		for (uint32_t m = hits; m; m &= m - 1) {
			auto i = static_cast<uint32_t>(std::countr_zero(m));
			const Region &r = simple ? t.groups[0]->main : *way.region[at + i];
			auto *line = reinterpret_cast<const Line *>(word[i] & ~uintptr_t{63});
			body[i] = body_of(t, r, line, word[i] >> 3 & 1);
			prefetch_body(t, body[i]);
		}
		uint32_t others = 0;
		for (uint32_t m = hits; m; m &= m - 1) {
			auto i = static_cast<uint32_t>(std::countr_zero(m));
			if constexpr (KeySize == 40)
				if (std::memcmp(body[i], keys + size_t{i} * 40, 40) != 0) [[unlikely]] {
					others |= 1u << i;
					states[i] = nullptr;
					continue;
				}
			if (!t.inline_state)
				states[i] = body[i] + t.state_at;
		}
		return others;
	}

	// Sets the deadlines of hits anew. @return bit per key whose deadline has come.
	[[gnu::always_inline]] static uint32_t refresh(uint64_t tick, const uint32_t *armed, uint32_t n,
	                                               uint32_t hits, const uintptr_t *word)
	{
		Clock unused = Clock::make(static_cast<uint16_t>(tick + 1), 0, 0);
		uint32_t late = 0;
		for (uint32_t i = 0; i < n; i++) {
			auto *of_entry = reinterpret_cast<Clock *>((word[i] & ~uintptr_t{63}) +
			                                           offsetof(Line, clock) + (word[i] & 8) / 2);
			Clock *clock = hits >> i & 1 ? of_entry : &unused;
			const uint32_t due = is_due(clock->deadline(), tick),
						   fresh = armed[clock->timeout_class()];
			clock->word = due ? clock->word : fresh;
			late |= due << i;
		}
		return late;
	}

	static void note_directions(Table &t, const Way &way, uint32_t at, uint32_t n,
	                            void *const *states, uint8_t *results)
	{
		for (uint32_t i = 0; i < n; i++) {
			if (!states[i])
				continue;
			Cell c = cell_of_state(t, states[i]);
			if (((c.line->bits[c.at] & bit_swapped) != 0) != way.swapped[at + i])
				results[i] |= CONNTRACK_REPLY;
		}
	}

	template <bool Insert>
	static uint32_t run(Table &t, const uint8_t *keys, const uint64_t *given, uint32_t n,
	                    bool timed, void **states, uint8_t *results)
	{
		Way way;
		const bool symmetric = t.flags & CONNTRACK_SYMMETRIC;
		const bool simple = t.group_bits == 0 && t.groups[0] && !t.groups[0]->flooded.nb;
		const bool home_only = !Insert && simple && t.home_only;
		const Region none;
		const Region &region = simple ? t.groups[0]->main : none;
		uint32_t armed[CONNTRACK_NB_CLASSES];
		if (timed)
			for (uint32_t c = 0; c < CONNTRACK_NB_CLASSES; c++)
				armed[c] = Clock::make(static_cast<uint16_t>(t.tick + t.arm[c]), c, 0).word;
		uint32_t begun = 0, found = 0;
		// Reads of eight keys must not pass the end of the caller's.
		uint8_t tail[lanes * KeySize];
		auto begin_up_to = [&](uint32_t end) {
			for (; begun < end; begun += lanes) {
				const uint8_t *from = keys + size_t{begun} * KeySize;
				const uint64_t *known = given ? given + begun : nullptr;
				if (n - begun >= lanes) [[likely]]
					step_one(t, region, way, begun % ring, from, known, lanes, simple, home_only);
				else
					step_one_of_rest(t, region, way, begun % ring, from, known, n - begun, simple,
					                 home_only);
			}
		};
		for (uint32_t first = 0; first < n; first += piece) {
			const uint32_t count = std::min(piece, n - first), at = first % ring;
			const uint32_t all = count == 32 ? UINT32_MAX : (1u << count) - 1;
			const uint8_t *own =
				symmetric ? way.turned + size_t{at} * KeySize : keys + size_t{first} * KeySize;
			alignas(64) uintptr_t word[piece];
			uint32_t hits = 0, elsewhere = 0;
			if (first == 0)
				begin_up_to(std::min(n, keys_ahead));
			for (uint32_t i = 0; i < count; i += lanes) {
				begin_up_to(std::min(n, first + i + keys_ahead));
				const uint8_t *eight;
				if constexpr (KeySize == 40) {
					eight = reinterpret_cast<const uint8_t *>(way.token + at + i);
				} else {
					eight = own + size_t{i} * KeySize;
					if (!symmetric && i + lanes > count) [[unlikely]] {
						std::memcpy(tail, eight, size_t{count - i} * KeySize);
						eight = tail;
					}
				}
				const uintptr_t *second = home_only ? way.home : way.second;
				const uint32_t found_here = eight_cells<KeySize>(
					way.home + at + i, second + at + i, eight, t.hash_key.round[0], word + i);
				hits |= found_here << i;
				if (!Insert && found_here != 0xff)
					elsewhere |= eight_elsewhere(way.home + at + i, way.digest + at + i, home_only)
					             << i;
			}
			hits &= all;
			// (The size of a whole piece is known: a copy of any size takes its time to begin.)
			if (count == piece) [[likely]]
				std::memcpy(states + first, word, sizeof(word));
			else
				std::memcpy(states + first, word, count * sizeof(void *));
			if (Insert && results)
				std::memset(results + first, 0, count);
			uint32_t again = 0;
			if (t.body_stride && hits && (KeySize == 40 || !t.inline_state))
				again = bodies(t, way, at, own, hits, simple, word, states + first);
			if (timed)
				again |= refresh(t.tick, armed, count, hits & ~again, word);
			for (uint32_t m = again; m; m &= m - 1)
				states[first + static_cast<uint32_t>(std::countr_zero(m))] = nullptr;
			hits &= ~again;
			found += static_cast<uint32_t>(std::popcount(hits));
			uint32_t unsettled = all & ~hits;
			if constexpr (!Insert) {
				if (!simple) [[unlikely]]
					for (uint32_t i = 0; i < count; i++)
						elsewhere |= uint32_t{way.unlisted[at + i]} << i;
				unsettled &= elsewhere | again;
			}
			// Their second lines were not asked for; all at once costs one wait, not one for each.
			for (uint32_t m = home_only ? unsettled : 0; m; m &= m - 1)
				__builtin_prefetch(reinterpret_cast<const void *>(
					way.second[at + static_cast<uint32_t>(std::countr_zero(m))]));
			for (; unsettled; unsettled &= unsettled - 1) {
				auto i = static_cast<uint32_t>(std::countr_zero(unsettled));
				found +=
					settle(t,
				           sought(t, own + size_t{i} * KeySize, way.digest[at + i],
				                  symmetric && way.swapped[at + i]),
				           first + i, timed, Insert, {states, first + count, keys, given}, results);
			}
			if (Insert && results && symmetric) [[unlikely]]
				note_directions(t, way, at, count, states + first, results + first);
		}
		return found;
	}

	static void think_again(Table &t, uint32_t n, uint32_t found)
	{
		t.looked_up += n;
		t.missed += n - found;
		if (t.looked_up < rethink_after)
			return;
		t.home_only = t.missed > t.looked_up / 2;
		t.looked_up = t.missed = 0;
	}

	// Few keys: asks for all lines, then takes one after the other.
	static uint32_t few(Table &t, const uint8_t *keys, const uint64_t *given, uint32_t n,
	                    bool timed, bool insert, void **states, uint8_t *results)
	{
		uint32_t found = 0;
		for (uint32_t i = 0; i < n; i++)
			states[i] = nullptr;
		for (uint32_t i = 0; i < n; i++)
			one(t, keys + size_t{i} * KeySize, given ? given + i : nullptr, [&](const Sought &key) {
				touch(t, key.digest);
				if (results)
					results[i] = 0;
				found += settle(t, key, i, timed, insert, {states, n, keys, given}, results);
				if (results && states[i] && t.flags & CONNTRACK_SYMMETRIC) {
					Cell c = cell_of_state(t, states[i]);
					if (((c.line->bits[c.at] & bit_swapped) != 0) != key.swapped)
						results[i] |= CONNTRACK_REPLY;
				}
			});
		return found;
	}
	static void touch(const Table &t, uint64_t digest)
	{
		Group *g = t.groups[group_of(t, digest_position(digest))];
		if (!g)
			return;
		const Region &r = first_looked_in(*g, digest);
		const Line *page = page_at(r, page_of(t, r, digest));
		__builtin_prefetch(page + digest_line(digest), 1);
		__builtin_prefetch(page + (digest_line(digest) ^ digest_way(digest)), 1);
	}

	// Keys of flooded homes are looked for in the stash at once: there most are.
	[[gnu::always_inline]] static Region &first_looked_in(Group &g, uint64_t digest)
	{
		return g.flooded.nb && g.flooded.has(digest_position(digest)) ? g.stash : g.main;
	}

	static uint32_t find(Table &t, const uint8_t *keys, const uint64_t *given, uint32_t n,
	                     bool timed, void **states)
	{
		uint32_t found = n < worth_vectors ? few(t, keys, given, n, timed, false, states, nullptr)
		                                   : run<false>(t, keys, given, n, timed, states, nullptr);
		think_again(t, n, found);
		return found;
	}

	static uint32_t find_or_insert(Table &t, const uint8_t *keys, const uint64_t *given, uint32_t n,
	                               bool timed, void **states, uint8_t *results)
	{
		t.follows = n <= most_followed;
		t.relocated = false;
		uint32_t found = n < worth_vectors ? few(t, keys, given, n, timed, true, states, results)
		                                   : run<true>(t, keys, given, n, timed, states, results);
		if (t.relocated) [[unlikely]]
			look_again(t, keys, given, n, states);
		return found;
	}

	static void look_again(Table &t, const uint8_t *keys, const uint64_t *given, uint32_t n,
	                       void **states)
	{
		for (uint32_t i = 0; i < n; i++)
			if (states[i])
				one(t, keys + size_t{i} * KeySize, given ? given + i : nullptr,
				    [&](const Sought &key) { find_again(t, key, states + i); });
		t.relocated = false;
	}

	static uint32_t remove(Table &t, const uint8_t *keys, const uint64_t *given, uint32_t n,
	                       bool timed)
	{
		uint32_t removed = 0;
		uint64_t own[piece];
		for (uint32_t first = 0; first < n; first += piece) {
			const uint32_t count = std::min(piece, n - first);
			const uint8_t *of_piece = keys + size_t{first} * KeySize;
			const uint64_t *d = given ? given + first : own;
			if (!given)
				digest(t, of_piece, nullptr, count, own);
			for (uint32_t i = 0; i < count; i++)
				one(t, of_piece + size_t{i} * KeySize, d + i,
				    [&](const Sought &key) { removed += remove_one(t, key, timed); });
		}
		return removed;
	}

	static void digest(Table &t, const uint8_t *keys, const uint32_t *nic, uint32_t n,
	                   uint64_t *out)
	{
		for (uint32_t first = 0; first < n; first += piece) {
			const uint32_t count = std::min(piece, n - first);
			const uint8_t *of_piece = keys + size_t{first} * KeySize;
			uint8_t turned[piece * KeySize];
			if (t.flags & CONNTRACK_SYMMETRIC) [[unlikely]] {
				std::memcpy(turned, of_piece, size_t{count} * KeySize);
				for (uint32_t i = 0; i < count; i++)
					conntrack_key_symmetric(turned + size_t{i} * KeySize, KeySize);
				of_piece = turned;
			}
			hash_keys<KeySize>(t.hash_key, of_piece, count, out + first);
			if (t.flags & CONNTRACK_NIC_HASH)
				for (uint32_t i = first; i < first + count; i++)
					out[i] = (out[i] & ~uint64_t{UINT32_MAX}) |
					         nic_position(t.hash_key, nic[i], t.group_bits);
			touch_all(t, out + first, count);
		}
	}

	static void touch_all(Table &t, const uint64_t *digests, uint32_t n)
	{
		asm volatile(""); // gcc drops calls of what only prefetches
		if (t.group_bits || !t.groups[0] || t.groups[0]->flooded.nb) {
			for (uint32_t i = 0; i < n; i++)
				touch(t, digests[i]);
			return;
		}
		for (uint32_t i = 0; i < n; i += lanes) {
			alignas(64) uintptr_t home[lanes], second[lanes];
			uint64_t eight[lanes] = {};
			const uint32_t count = std::min(lanes, n - i);
			std::memcpy(eight, digests + i, count * sizeof(uint64_t));
			eight_lines(t.groups[0]->main, eight, home, second);
			for (uint32_t k = 0; k < count; k++) {
				__builtin_prefetch(reinterpret_cast<const void *>(home[k]), 1);
				if (!t.home_only)
					__builtin_prefetch(reinterpret_cast<const void *>(second[k]), 1);
			}
		}
	}

	static uint64_t token_digest(const Table &t, const Token &token)
	{
		if constexpr (KeySize == 40)
			return token.low;
		const uint64_t words[2] = {token.low ^ t.hash_key.round[0][0],
		                           token.high ^ t.hash_key.round[0][1]};
		uint8_t key[16];
		std::memcpy(key, words, 16);
		return hash_key<16>(t.hash_key, key);
	}
};

} // namespace REFRAMER_ISA

} // namespace reframer::conntrack
