// Which groups wait: hash -> word of the group (see blocks.hpp). Four ways of {hash, word} a bucket,
// half a line. As large as what is held needs, so that it stays in the caches at any number of
// flows, whatever may be held at most. There is no key to compare: flows that share a hash share a
// group (see reframer.h).
#pragma once

#include "packet/hash.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace reframer::stage {

inline constexpr uint32_t block_ways = 4;

struct alignas(32) BlockBucket {
	struct Way {
		uint32_t hash, word;
	} way[block_ways];
};
static_assert(sizeof(BlockBucket) == 32, "two to a line, and none in two lines");

class BlockTable {
public:
	// At most a group a bucket in four: with Poisson(1/4) arrivals one group in 10,000 finds its bucket
	// full, which makes the table larger where it may be. At the least 16 KB, which the smallest
	// first-level cache has room for.
	static constexpr uint32_t least = 512;
	static uint32_t nb_buckets_for(uint32_t nb_slots) { return std::max(4 * nb_slots, least); }
	// Of a stage that holds so many packets at most, each of a group of its own: half a group a bucket.
	// No more than positions differ, see BlockStage::forget_old().
	static uint32_t most_buckets_for(uint32_t max_packets)
	{
		return std::clamp(2 * std::bit_ceil(max_packets), least, 1u << 20);
	}

	void init(BlockBucket *storage, uint64_t seed)
	{
		buckets_ = storage;
		// Mixed, as a user's seed may be a small number; odd, so that no bit of the hash is lost.
		const uint64_t factors = packet::fold_multiply(seed ^ packet::hash_c0, packet::hash_c1);
		key_ =
			static_cast<uint32_t>(packet::fold_multiply(seed ^ packet::hash_c2, packet::hash_c3));
		first_ = static_cast<uint32_t>(factors) | 1;
		second_ = static_cast<uint32_t>(factors >> 32) | 1;
	}
	// Empty, with words that are not in the window.
	void clear(uint32_t nb_buckets, uint32_t dead_word)
	{
		nb_buckets_ = nb_buckets;
		shift_ = 32 - static_cast<uint32_t>(std::countr_zero(nb_buckets));
		const BlockBucket::Way dead = {0, dead_word};
		std::fill_n(buckets_, nb_buckets, BlockBucket{{dead, dead, dead, dead}});
	}

	// Keyed, because who sends the packets may know how the NIC hashes (its key is often the published
	// one): any bits of a NIC hash can be chosen, those of this product cannot. In products of 32 bits,
	// of which vectors have many.
	uint32_t bucket_of(uint32_t hash) const
	{
		const uint32_t x = (hash ^ key_) * first_;
		return bucket_of_keyed((x ^ x >> 16) * second_);
	}
	// Of a hash that is keyed itself: no sender can choose any of its bits.
	uint32_t bucket_of_keyed(uint32_t hash) const { return hash >> shift_; }

	BlockBucket &bucket(uint32_t index) { return buckets_[index]; }
	const BlockBucket &bucket(uint32_t index) const { return buckets_[index]; }
	uint32_t nb_buckets() const { return nb_buckets_; }
	uint32_t key() const { return key_; }
	uint32_t first_factor() const { return first_; }
	uint32_t second_factor() const { return second_; }
	uint32_t shift() const { return shift_; }

private:
	BlockBucket *buckets_ = nullptr;
	uint32_t nb_buckets_ = 0, shift_ = 31;
	uint32_t key_ = 0, first_ = 1, second_ = 1;
};

} // namespace reframer::stage
