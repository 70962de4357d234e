// Which groups hold packets now: hash -> first slot. Set-associative, one line a
// bucket, sized for what may be held and not for the flows that exist, so it stays in the caches at
// any number of flows. There is no key to compare: flows that share a hash share a group (see
// reframer.h).
#pragma once

#include "packet/hash.hpp"

#include <bit>
#include <cstdint>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace reframer::stage {

inline constexpr uint32_t none = UINT32_MAX;
inline constexpr uint32_t bucket_ways = 8;

struct alignas(64) Bucket {
	uint32_t hash[bucket_ways];
	// Where the group is; `none`: the way is empty and its hash is stale.
	uint32_t head[bucket_ways];
};
static_assert(sizeof(Bucket) == 64, "a lookup touches one line");
inline constexpr uint32_t bucket_words = sizeof(Bucket) / sizeof(uint32_t);

class GroupTable {
public:
	// Mean load at most half: with Poisson(4) arrivals 2 % of full buckets release a group early
	// when max_packets groups of one packet are held, and none at the loads that are usual.
	static uint32_t nb_buckets_for(uint32_t max_packets)
	{
		return std::bit_ceil(max_packets / (bucket_ways / 2)) < 2
		           ? 2
		           : std::bit_ceil(max_packets / (bucket_ways / 2));
	}

	// One bucket more than is used: the place of groups that no hash shall find.
	void init(Bucket *storage, uint32_t nb_buckets, uint64_t seed)
	{
		outside_ = place_of(nb_buckets, 0);
		buckets_ = storage;
		words_ = reinterpret_cast<uint32_t *>(storage);
		shift_ = 64 - static_cast<uint32_t>(std::countr_zero(nb_buckets));
		// Mixed, as a user's seed may be a small number; odd, so that no bit of the hash is lost.
		key_ =
			static_cast<uint32_t>(packet::fold_multiply(seed ^ packet::hash_c2, packet::hash_c3));
		factor_ = packet::fold_multiply(seed ^ packet::hash_c0, packet::hash_c1) | 1;
		for (uint32_t b = 0; b < nb_buckets; b++)
			buckets_[b] = {{}, {none, none, none, none, none, none, none, none}};
	}

	// Buckets are keyed, because who sends the packets may know how the NIC hashes (its key is often the
	// published one): the low bits of a NIC hash can be chosen, those of this product cannot.
	uint64_t spread(uint32_t hash) const
	{
		const uint64_t x = static_cast<uint64_t>(hash ^ key_) * factor_;
		return (x ^ x >> 32) * factor_;
	}
	// In products of 32 bits, of which vectors have many.
	uint32_t bucket_of(uint32_t hash) const
	{
		const uint64_t x = uint64_t{hash ^ key_} * static_cast<uint32_t>(factor_);
		const auto folded = static_cast<uint32_t>(x ^ x >> 32);
		const uint32_t product = folded * (static_cast<uint32_t>(factor_ >> 32) | 1);
		return static_cast<uint32_t>(uint64_t{product} << 32 >> shift_);
	}

	Bucket &bucket(uint32_t index) { return buckets_[index]; }
	const Bucket &bucket(uint32_t index) const { return buckets_[index]; }
	[[gnu::always_inline]] void prefetch(uint32_t index) const
	{
		__builtin_prefetch(&buckets_[index], 1);
	}

	// One bit a way.
	struct Ways {
		uint32_t same; // hold a group of this hash: at most one
		uint32_t vacant;
	};
	static Ways look(const Bucket &bucket, uint32_t hash)
	{
		const uint32_t vacant = equal(bucket.head, none);
		return {equal(bucket.hash, hash) & ~vacant, vacant};
	}

	// Where a way's head is in the table, counted in words.
	static uint32_t place_of(uint32_t index, uint32_t way)
	{
		return index * bucket_words + bucket_ways + way;
	}
	[[gnu::always_inline]] void prefetch_place(uint32_t place) const
	{
		__builtin_prefetch(word(place), 1);
	}
	void clear(uint32_t place) { *word(place) = none; }
	uint32_t outside() const { return outside_; }

private:
	uint32_t *word(uint32_t place) const { return words_ + place; }

	static uint32_t equal(const uint32_t *values, uint32_t value)
	{
#if defined(__AVX2__)
		const __m256i ways = _mm256_load_si256(reinterpret_cast<const __m256i *>(values));
		const __m256i same = _mm256_cmpeq_epi32(ways, _mm256_set1_epi32(static_cast<int>(value)));
		return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(same)));
#else
		uint32_t bits = 0;
		for (uint32_t way = 0; way < bucket_ways; way++)
			bits |= static_cast<uint32_t>(values[way] == value) << way;
		return bits;
#endif
	}

	Bucket *buckets_ = nullptr;
	uint32_t *words_ = nullptr; // the same memory
	uint32_t shift_ = 63;
	uint32_t outside_ = 0;
	uint32_t key_ = 0;
	uint64_t factor_ = 1;
};

} // namespace reframer::stage
