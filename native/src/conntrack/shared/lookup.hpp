// Where a key is in a shared table, or that it is nowhere: reading under sequence locks.
#pragma once

#include "conntrack/shared/table.hpp"

#include <bit>

namespace reframer::conntrack::shared {

template <unsigned KeySize, unsigned Stride> struct Lookup {
	static constexpr size_t state_at = KeySize + sizeof(Meta);

	static uint8_t *entry_at(const Generation &g, uint32_t bucket, uint32_t slot)
	{
		return g.entries + (size_t{bucket} * slots_per_bucket + slot) * Stride;
	}
	static uint64_t &meta_word(uint8_t *entry)
	{
		return *reinterpret_cast<uint64_t *>(entry + KeySize);
	}

	static bool same_key(const uint8_t *entry, const uint8_t *key)
	{
		uint64_t differ = 0;
		for (size_t at = 0; at < KeySize; at += 8) {
			uint64_t w;
			std::memcpy(&w, key + at, 8);
			differ |= get(word(entry, at)) ^ w;
		}
		return differ == 0;
	}

	// Where a key was looked for, and what the versions were.
	struct Look {
		Generation *generation;
		uint32_t home, home_version;
		uint32_t bucket, slot, version; // of where it was found

		Bucket &home_bucket() const { return generation->buckets[home]; }
		Bucket &at() const { return generation->buckets[bucket]; }
		uint8_t *entry() const { return entry_at(*generation, bucket, slot); }
		bool holds() const { return get(at().version) == version; }
		// With the home locked as it was when the key was found, the entry stays where it is.
		bool lock_both() const
		{
			if (!lock_from(home_bucket(), home_version))
				return false;
			if (bucket != home)
				lock(at());
			return true;
		}
		void unlock_both() const
		{
			if (bucket != home)
				unlock(at());
			unlock(home_bucket());
		}
	};

	static bool in_bucket(const Generation &g, uint32_t bucket, uint32_t version, uint8_t tag,
	                      const uint8_t *key, Look &look)
	{
		for (uint32_t m = match_tag(g.buckets[bucket], tag); m; m &= m - 1) {
			auto slot = static_cast<uint32_t>(std::countr_zero(m));
			if (!same_key(entry_at(g, bucket, slot), key))
				continue;
			look.bucket = bucket;
			look.slot = slot;
			look.version = version;
			return true;
		}
		return false;
	}

	// True: the key seems to be at `look`, which holds() as long as it is. False: at one instant of
	// this call it was nowhere, and it has not come since if the home's version is still the same.
	static bool lookup(Generation *g, uint64_t digest, const uint8_t *key, Look &look)
	{
		uint8_t tag = digest_tag(digest);
		for (;;) {
			look.generation = g;
			look.home = g->home_of(digest_position(digest));
			Bucket &home = g->buckets[look.home];
			look.home_version = wait_unlocked(home);
			if (look.home_version & version_moved) [[unlikely]] {
				g = get(g->next);
				continue;
			}
			if (in_bucket(*g, look.home, look.home_version, tag, key, look))
				return true;
			if (get(home.filter) & filter_bit(tag)) [[unlikely]] {
				uint32_t last = look.home + get(home.reach);
				for (uint32_t b = look.home + 1; b <= last; b++)
					if (in_bucket(*g, b, wait_unlocked(g->buckets[b]), tag, key, look))
						return true;
			}
			if (get(home.version) == look.home_version) [[likely]]
				return false;
		}
	}
};

} // namespace reframer::conntrack::shared
