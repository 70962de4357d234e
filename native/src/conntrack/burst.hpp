// The way of a burst through the table: hash, prefetch, match tags, prefetch, verify, insert.
#pragma once

#include "conntrack/steps.hpp"

namespace reframer::conntrack {

// Pieces between the first touch of a bucket and the match of its tags, and between an entry's
// prefetch and its use, when a call has enough keys: 128 first lines and 64 second lines in flight.
constexpr uint32_t pieces_ahead = 4, entry_pieces_ahead = 2;
static_assert(entry_pieces_ahead >= 1, "keys away from home are matched a piece later");

// Tables up to this size are searched a piece at a time without prefetching buckets: 1 MiB is a
// core's second-level cache on today's servers, whose latency the processor hides by itself.
constexpr size_t direct_bytes = size_t{1} << 20;

template <unsigned KeySize, unsigned Stride> struct Burst : Steps<KeySize, Stride> {
	using One = OneKey<KeySize, Stride>;
	using Base = Steps<KeySize, Stride>;
	using typename Base::Candidates;
	using typename Base::Clock;
	using typename Base::Homes;
	template <bool Simple> using View = typename Base::template View<Simple>;
	using Base::in_time, Base::is_simple, Base::touch, Base::turn_keys;

	static void hash_turned(Table &t, const uint8_t *keys, uint32_t n, uint64_t *out)
	{
		uint8_t turned[piece * KeySize];
		for (uint32_t first = 0; first < n; first += piece) {
			uint32_t count = std::min(piece, n - first);
			turn_keys(keys + size_t{first} * KeySize, count, turned);
			hash_keys<KeySize>(t.hash_key, turned, count, out + first);
		}
	}

	static void digest(Table &t, const uint8_t *keys, const uint32_t *nic, uint32_t n, uint64_t *out)
	{
		if (t.flags & CONNTRACK_SYMMETRIC)
			hash_turned(t, keys, n, out);
		else
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
			if (uint32_t away = Base::template match<true>(view, digests + first, homes, count, unused))
				Base::template match_away<true>(view, digests + first, homes, away, unused);
		}
	}

	// Runs the three steps, pieces of a long call overlapping: step 1 `pieces_ahead` before
	// step 2, that `entry_pieces_ahead` before step 3.
	template <bool Insert, bool Timed, typename V>
	static uint32_t run(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                    void **states, uint8_t *results)
	{
		// What a step leaves lives from there to the end of the last.
		constexpr uint32_t ring = std::bit_ceil(pieces_ahead + entry_pieces_ahead + 1);
		constexpr uint32_t candidate_ring = std::bit_ceil(entry_pieces_ahead + 1);
		alignas(64) uint64_t own[ring][piece];
		uint8_t turned[ring][piece * KeySize]; // symmetric tables only
		uint32_t swapped[ring] = {};
		const bool symmetric = t.flags & CONNTRACK_SYMMETRIC;
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
		auto keys_of = [&](uint32_t p) -> const uint8_t * {
			return symmetric ? turned[p % ring] : keys + size_t{p} * piece * KeySize;
		};
		auto step_one = [&](uint32_t p) {
			uint32_t count = size_of(p);
			if (symmetric) [[unlikely]]
				swapped[p % ring] = turn_keys(keys + size_t{p} * piece * KeySize, count, turned[p % ring]);
			if (!digests)
				hash_keys<KeySize>(t.hash_key, keys_of(p), count, own[p % ring]);
			view.homes(digests_of(p), count, homes[p % ring]);
			// conntrack_digest_burst() has touched what digests lead to.
			if (!digests)
				touch(homes[p % ring], count);
		};
		for (uint32_t p = 0; p < std::min(pieces_ahead, nb_pieces); p++)
			step_one(p);
		for (uint32_t p = 0; p < nb_pieces + entry_pieces_ahead; p++) {
			if (p + pieces_ahead < nb_pieces)
				step_one(p + pieces_ahead);
			auto step_away = [&](uint32_t q) {
				if (away) [[unlikely]]
					Base::template match_away<Insert>(view, digests_of(q), homes[q % ring], away,
					                   candidates[q % candidate_ring]);
				away = 0;
			};
			step_away(p - 1); // their next buckets have come by now
			if (p < nb_pieces)
				away = Base::template match<Insert>(view, digests_of(p), homes[p % ring], size_of(p),
				                     candidates[p % candidate_ring]);
			if (p < entry_pieces_ahead)
				continue;
			uint32_t done = p - entry_pieces_ahead, first = done * piece;
			found += Base::template finish<Insert, Timed>(t, clock, keys_of(done), digests_of(done), homes[done % ring],
			                               candidates[done % candidate_ring], size_of(done), first,
			                               swapped[done % ring], states, results);
		}
		return found;
	}

	// Steps 2 and 3 key by key, without prefetching, for tables that lie in the core's own caches.
	template <bool Insert, bool Timed>
	static uint32_t run_direct(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                           void **states, uint8_t *results)
	{
		alignas(64) uint64_t own[piece];
		Homes homes;
		const View<true> view(t);
		const Clock clock(t);
		uint32_t found = 0;
		for (uint32_t first = 0; first < n; first += piece, keys += size_t{piece} * KeySize) {
			uint32_t count = std::min(piece, n - first), unsettled = 0;
			const uint64_t *d = digests ? digests + first : own;
			if (!digests)
				hash_keys<KeySize>(t.hash_key, keys, count, own);
			view.homes(d, count, homes);
			if (Insert && results)
				std::memset(results + first, 0, count);
			for (uint32_t i = 0; i < count; i++) {
				const Header &h = *homes.header[i];
				void *state = nullptr;
				uint32_t elsewhere = Insert ? 1 : (h.filter & homes.filter[i]) | (homes.flooded >> i & 1);
				for (uint32_t m = match_tag(h, homes.tag[i]); m; m &= m - 1) {
					auto slot = static_cast<uint32_t>(std::countr_zero(m));
					uint8_t *entry = homes.entries[i] + size_t{slot} * Stride;
					if (!One::same_key(entry, keys + size_t{i} * KeySize)) [[unlikely]]
						continue;
					elsewhere = 1;
					if (Timed && !in_time(clock, One::meta_of(entry),
					                      const_cast<uint16_t &>(h.deadline[slot]))) [[unlikely]]
						break;
					state = One::state_of(entry);
					found++;
					break;
				}
				states[first + i] = state;
				if (!state && elsewhere) [[unlikely]]
					unsettled |= 1u << i;
			}
			for (; unsettled; unsettled &= unsettled - 1) {
				auto i = static_cast<uint32_t>(std::countr_zero(unsettled));
				found += Base::template resolve<Insert, Timed>(t, keys + size_t{i} * KeySize, d[i], first + i,
				                                first + count, false, states, results);
			}
		}
		return found;
	}

	template <bool Insert, bool Timed>
	static uint32_t dispatch(Table &t, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                         void **states, uint8_t *results)
	{
		constexpr size_t bucket_bytes = sizeof(Header) + slots_per_bucket * Stride;
		if (!is_simple(t))
			return run<Insert, Timed, View<false>>(
			    t, keys, digests, n, states, results);
		if (t.groups[0]->now.nb_buckets * bucket_bytes <= direct_bytes &&
		    !(t.flags & CONNTRACK_SYMMETRIC))
			return run_direct<Insert, Timed>(t, keys, digests, n, states, results);
		return run<Insert, Timed, View<true>>(
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
		uint8_t turned[piece * KeySize];
		uint32_t removed = 0;
		for (uint32_t p = 0; p < n; p += piece) {
			uint32_t count = std::min(piece, n - p);
			const uint64_t *d = digests ? digests + p : own;
			if (!digests)
				digest(t, keys + size_t{p} * KeySize, nullptr, count, own);
			prefetch(t, d, count);
			const uint8_t *of_piece = keys + size_t{p} * KeySize;
			if (t.flags & CONNTRACK_SYMMETRIC) {
				turn_keys(of_piece, count, turned);
				of_piece = turned;
			}
			for (uint32_t i = 0; i < count; i++)
				removed += One::remove_one(t, of_piece + size_t{i} * KeySize, d[i], timed);
		}
		return removed;
	}
};

} // namespace reframer::conntrack
