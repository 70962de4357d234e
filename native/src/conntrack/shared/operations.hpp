// The way of a burst through a shared table.
#pragma once

#include "conntrack/shared/lookup.hpp"

#include <algorithm>
#include <bit>

namespace reframer::conntrack::shared {

// Keys that go through a step together. In long calls first lines are asked for this many pieces
// before they are read, entries one piece before.
constexpr uint32_t piece = 32, pieces_ahead = 3;

template <unsigned KeySize, unsigned Stride> struct Burst : Lookup<KeySize, Stride> {
	using Finder = Lookup<KeySize, Stride>;
	using Look = typename Finder::Look;
	using Finder::entry_at, Finder::lookup, Finder::meta_word, Finder::state_at;

	// What a call will write to is asked for as the only copy: fetched as a reader's first, a line that
	// another thread has written to would have to be fetched twice.
	template <bool Writes> static void prefetch_entry(const Generation &g, uint64_t digest)
	{
		uint32_t home = g.home_of(digest_position(digest));
		const Bucket &b = g.buckets[home];
		uint32_t m = match_tag(b, digest_tag(digest));
		if (!m)
			m = empty_slots(b);
		if (!m)
			return;
		const uint8_t *entry = entry_at(g, home, static_cast<uint32_t>(std::countr_zero(m)));
		for (unsigned at = 0; at < Stride; at += 64)
			__builtin_prefetch(entry + at, Writes);
	}

	// Calls `step(generation, key, digest, i)` for each key in order, the keys to come being on
	// their way; it tells whether it inserted.
	template <bool Writes, typename Step>
	static void run(Thread &thread, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                Step step)
	{
		Table &t = *thread.table;
		constexpr uint32_t ring = pieces_ahead + 1;
		uint64_t own[ring][piece];
		uint32_t nb_pieces = (n + piece - 1) / piece;
		auto size_of = [&](uint32_t p) { return std::min(piece, n - p * piece); };
		auto digests_of = [&](uint32_t p) {
			return digests ? digests + size_t{p} * piece : own[p % ring];
		};
		auto step_one = [&](uint32_t p) {
			if (!digests)
				hash<Writes>(thread, keys + size_t{p} * piece * KeySize, size_of(p), own[p % ring]);
		};
		for (uint32_t p = 0; p < std::min(pieces_ahead, nb_pieces); p++)
			step_one(p);
		for (uint32_t p = 0; p <= nb_pieces; p++) {
			Generation *g = t.current.load(std::memory_order_acquire);
			if (p + pieces_ahead < nb_pieces + 1 && p > 0)
				step_one(p + pieces_ahead - 1);
			if (p < nb_pieces)
				for (uint32_t i = 0, count = size_of(p); i < count; i++)
					prefetch_entry<Writes>(*g, digests_of(p)[i]);
			if (p == 0)
				continue;
			uint32_t first = (p - 1) * piece, nb_new = 0;
			const uint64_t *d = digests_of(p - 1);
			for (uint32_t i = 0, count = size_of(p - 1); i < count; i++)
				nb_new += step(g, keys + size_t{first + i} * KeySize, d[i], first + i);
			if (thread.wants_growth) [[unlikely]] {
				thread.wants_growth = false;
				start_growth(t, *t.current.load(std::memory_order_acquire));
			}
			if (nb_new && get(g->next)) [[unlikely]]
				help_growth(thread, nb_new * moves_per_insert);
		}
	}

	static void digest(Thread &thread, const uint8_t *keys, uint32_t n, uint64_t *out)
	{
		hash<false>(thread, keys, n, out);
	}
	template <bool Writes>
	static void hash(Thread &thread, const uint8_t *keys, uint32_t n, uint64_t *out)
	{
		Table &t = *thread.table;
		hash_keys<KeySize>(t.hash_key, keys, n, out);
		const Generation &g = *t.current.load(std::memory_order_acquire);
		for (uint32_t i = 0; i < n; i++)
			__builtin_prefetch(&g.buckets[g.home_of(digest_position(out[i]))], Writes);
	}

	// The entry is due: takes it out, or arms it anew. Whatever comes of it, look again.
	[[gnu::noinline]] static void settle_due(Thread &thread, const Look &look, uint64_t tick)
	{
		Table &t = *thread.table;
		if (!look.lock_both())
			return;
		Bucket &b = look.at();
		uint16_t deadline = get(b.deadline[look.slot]);
		Meta meta{get(meta_word(look.entry()))};
		if (is_due(deadline, tick)) {
			if (is_dead(t, meta, deadline, tick)) {
				vacate(thread, *look.generation, {look.bucket, look.slot}, look.home,
				       CONNTRACK_EXPIRED);
			} else {
				put(b.deadline[look.slot], deadline);
				put(meta_word(look.entry()), meta.bits);
			}
		}
		look.unlock_both();
	}

	// Whether a packet at `tick` changes an entry's deadline. Once a tick: only then does a reader
	// write, so lines stay shared. Not backwards where another thread brought a later time.
	static bool needs_arm(const Table &t, uint16_t deadline, Meta meta, uint64_t tick)
	{
		auto want = static_cast<uint16_t>(tick + t.arm[meta.timeout_class()]);
		return static_cast<int16_t>(want - deadline) > 0 || meta.idle();
	}
	// Its bucket is locked.
	static void arm(const Table &t, const Look &look, Meta meta, uint64_t tick)
	{
		put(look.at().deadline[look.slot],
		    static_cast<uint16_t>(tick + t.arm[meta.timeout_class()]));
		if (meta.idle())
			put(meta_word(look.entry()), Meta::make(meta.position(), meta.timeout_class(), 0).bits);
	}

	enum class Read { hit, miss, again };

	// Reads what lookup() has found, and refreshes it.
	static Read read(Thread &thread, const Look &look, bool timed, uint64_t tick, uint8_t *state)
	{
		Table &t = *thread.table;
		uint64_t copy[8];
		uint16_t deadline = 0;
		Meta meta{};
		if (state)
			copy_out(copy, look.entry() + state_at, t.state_size);
		if (timed) {
			deadline = get(look.at().deadline[look.slot]);
			meta.bits = get(meta_word(look.entry()));
		}
		if (!look.holds())
			return Read::again;
		if (timed) {
			if (is_due(deadline, tick)) [[unlikely]] {
				settle_due(thread, look, tick);
				return Read::again;
			}
			if (needs_arm(t, deadline, meta, tick)) {
				if (!lock_from(look.at(), look.version))
					return Read::again;
				arm(t, look, meta, tick);
				unlock(look.at());
			}
		}
		for (size_t at = 0; state && at < t.state_size; at += 8)
			std::memcpy(state + at, &copy[at / 8], 8);
		return Read::hit;
	}

	static uint32_t find(Thread &thread, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                     bool timed, uint64_t tick, uint8_t *states, uint8_t *found)
	{
		uint32_t total = 0;
		size_t state_size = thread.table->state_size;
		run<false>(thread, keys, digests, n,
		           [&](Generation *g, const uint8_t *key, uint64_t digest, uint32_t i) {
					   Read r = Read::again;
					   for (Look look; r == Read::again;)
						   r = lookup(g, digest, key, look)
				                   ? read(thread, look, timed, tick,
				                          states ? states + i * state_size : nullptr)
				                   : Read::miss;
					   found[i] = r == Read::hit;
					   total += found[i];
					   return false;
				   });
		return total;
	}

	// Inserts where lookup() has found nothing; `init(state, class)` writes the first state into the
	// table and says the class. It runs once, under the home's lock. False: look again.
	template <typename Init>
	[[gnu::always_inline]] static bool insert(Thread &thread, const Look &look, uint64_t digest,
	                                          const uint8_t *key, bool timed, uint64_t tick,
	                                          uint8_t &result, Init init)
	{
		Table &t = *thread.table;
		Generation &g = *look.generation;
		Bucket &home = look.home_bucket();
		if (!lock_from(home, look.home_version))
			return false;
		Slot at;
		uint32_t empty = empty_slots(home);
		if (empty && thread.places > 0) [[likely]] {
			thread.places--;
			at = {look.home, static_cast<uint32_t>(std::countr_zero(empty))};
		} else if (Room room = make_room(thread, g, look.home, timed, tick, at);
		           room != Room::found) {
			unlock(home);
			if (room == Room::after_growth) {
				grow_now(thread);
				return false;
			}
			thread.refused.add(1);
			result = CONNTRACK_SHARED_REFUSED;
			return true;
		}
		Bucket &b = g.buckets[at.bucket];
		uint8_t *entry = entry_at(g, at.bucket, at.slot);
		uint32_t timeout_class = 0;
		copy_in(entry, key, KeySize);
		init(entry + state_at, timeout_class);
		put(meta_word(entry), Meta::make(digest_position(digest), timeout_class, 0).bits);
		put(b.deadline[at.slot], static_cast<uint16_t>(tick + t.arm[timeout_class]));
		if (t.protected_classes >> timeout_class & 1)
			put(b.shielded, static_cast<uint16_t>(get(b.shielded) | 1u << at.slot));
		put(b.tag[at.slot], digest_tag(digest));
		if (at.bucket != look.home) [[unlikely]] {
			note_residence(thread, g, look.home, at, digest_tag(digest));
			unlock(b);
		}
		unlock(home);
		thread.inserted.add(1);
		result = CONNTRACK_NEW;
		return true;
	}

	static uint32_t find_or_insert(Thread &thread, const uint8_t *keys, const uint64_t *digests,
	                               uint32_t n, bool timed, uint64_t tick, uint8_t *states,
	                               uint8_t *results)
	{
		uint32_t total = 0;
		size_t state_size = thread.table->state_size;
		run<true>(thread, keys, digests, n,
		          [&](Generation *g, const uint8_t *key, uint64_t digest, uint32_t i) {
					  uint8_t *copy = states + i * state_size;
					  results[i] = 0;
					  for (Look look;;) {
						  if (lookup(g, digest, key, look)) {
							  if (read(thread, look, timed, tick, copy) == Read::hit)
								  break;
						  } else if (insert(thread, look, digest, key, timed, tick, results[i],
				                            [&](uint8_t *fresh, uint32_t &) {
												copy_in(fresh, copy, state_size);
											})) {
							  break;
						  }
					  }
					  total += results[i] != CONNTRACK_SHARED_REFUSED;
					  return results[i] == CONNTRACK_NEW;
				  });
		return total;
	}

	// Runs `change(state, class)` on what lookup() has found, in the table. False: look again.
	template <typename Change>
	static bool change_found(Thread &thread, const Look &look, bool timed, uint64_t tick,
	                         Change change)
	{
		Table &t = *thread.table;
		Bucket &b = look.at();
		// Nothing has changed since: the entry is there, and stays as long as its bucket is locked.
		if (!lock_from(b, look.version))
			return false;
		uint8_t *entry = look.entry();
		Meta meta{get(meta_word(entry))};
		if (timed && is_due(get(b.deadline[look.slot]), tick)) [[unlikely]] {
			// Let go as it was: settle_due() wants the home's lock first.
			put(b.version, look.version);
			settle_due(thread, look, tick);
			return false;
		}
		uint32_t before = meta.timeout_class(), after = before;
		change(entry + state_at, after);
		if (after != before) {
			uint32_t bit = 1u << look.slot;
			meta = Meta::make(meta.position(), after, 0);
			put(meta_word(entry), meta.bits);
			uint32_t shielded = get(b.shielded);
			put(b.shielded,
			    static_cast<uint16_t>(t.protected_classes >> after & 1 ? shielded | bit
			                                                           : shielded & ~bit));
		}
		if (after != before || (timed && needs_arm(t, get(b.deadline[look.slot]), meta, tick)))
			arm(t, look, meta, tick);
		unlock(b);
		return true;
	}

	static uint32_t store(Thread &thread, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                      bool timed, uint64_t tick, const uint8_t *states, uint8_t *results)
	{
		uint32_t total = 0;
		size_t state_size = thread.table->state_size;
		run<true>(thread, keys, digests, n,
		          [&](Generation *g, const uint8_t *key, uint64_t digest, uint32_t i) {
					  const uint8_t *given = states + i * state_size;
					  results[i] = 0;
					  for (Look look;;) {
						  if (lookup(g, digest, key, look)) {
							  if (change_found(thread, look, timed, tick,
					                           [&](uint8_t *state, uint32_t &) {
												   copy_in(state, given, state_size);
											   }))
								  break;
						  } else if (insert(thread, look, digest, key, timed, tick, results[i],
				                            [&](uint8_t *fresh, uint32_t &) {
												copy_in(fresh, given, state_size);
											})) {
							  break;
						  }
					  }
					  total += results[i] != CONNTRACK_SHARED_REFUSED;
					  return results[i] == CONNTRACK_NEW;
				  });
		return total;
	}

	static uint32_t update(Thread &thread, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                       bool timed, uint64_t tick, conntrack_update_fn function, void *context,
	                       uint8_t *results)
	{
		uint32_t total = 0;
		size_t state_size = thread.table->state_size;
		run<true>(
			thread, keys, digests, n,
			[&](Generation *g, const uint8_t *key, uint64_t digest, uint32_t i) {
				uint8_t result = 0;
				auto call = [&](uint8_t *in_table, uint32_t &timeout_class, int is_new) {
					uint64_t state[8] = {};
					if (!is_new)
						copy_out(state, in_table, state_size);
					function(context, i, state, &timeout_class, is_new);
					if (timeout_class >= CONNTRACK_NB_CLASSES)
						timeout_class = 0;
					copy_in(in_table, state, state_size);
				};
				for (Look look;;) {
					if (lookup(g, digest, key, look)) {
						if (change_found(thread, look, timed, tick,
					                     [&](uint8_t *state, uint32_t &c) { call(state, c, 0); }))
							break;
					} else if (insert(thread, look, digest, key, timed, tick, result,
				                      [&](uint8_t *state, uint32_t &c) { call(state, c, 1); })) {
						break;
					}
				}
				if (results)
					results[i] = result;
				total += result != CONNTRACK_SHARED_REFUSED;
				return result == CONNTRACK_NEW;
			});
		return total;
	}

	static uint32_t remove(Thread &thread, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                       bool timed, uint64_t tick, uint8_t *removed)
	{
		uint32_t total = 0;
		run<true>(thread, keys, digests, n,
		          [&](Generation *g, const uint8_t *key, uint64_t digest, uint32_t i) {
					  bool there = false;
					  for (Look look; lookup(g, digest, key, look);)
						  if (take_out(thread, look, timed, tick, there))
							  break;
					  if (removed)
						  removed[i] = there;
					  total += there;
					  return false;
				  });
		return total;
	}

	// Removes what lookup() has found. False: look again.
	static bool take_out(Thread &thread, const Look &look, bool timed, uint64_t tick,
	                     bool &was_live)
	{
		if (!look.holds() || !look.lock_both())
			return false;
		uint16_t deadline = get(look.at().deadline[look.slot]);
		Meta meta{get(meta_word(look.entry()))};
		was_live =
			!timed || !is_due(deadline, tick) || !is_dead(*thread.table, meta, deadline, tick);
		vacate(thread, *look.generation, {look.bucket, look.slot}, look.home,
		       was_live ? CONNTRACK_REMOVED : CONNTRACK_EXPIRED);
		look.unlock_both();
		return true;
	}
};

} // namespace reframer::conntrack::shared
