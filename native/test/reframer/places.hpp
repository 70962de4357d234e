// Whether every group has a way in the engine's table: only then does the model know what leaves.
#pragma once

#include "reframer/blocks/block_table.hpp"
#include "reframer/group_table.hpp"

#include <bit>
#include <cstdint>
#include <vector>

namespace reframer::test {

// Buckets of a table have a bound number of ways. Once more hashes than that have come for one, a
// group of it may leave early, which the model does not know. Blocks: in the smallest table, whose
// buckets are several of larger ones.
class Places {
public:
	Places(uint32_t max_packets, uint64_t seed, bool in_slots, uint32_t nb_flows)
		: in_slots_(in_slots), placed_(nb_flows, false)
	{
		buckets_.resize(stage::GroupTable::nb_buckets_for(max_packets));
		table_.init(buckets_.data(), static_cast<uint32_t>(buckets_.size()), seed);
		block_buckets_.resize(stage::BlockTable::least);
		block_table_.init(block_buckets_.data(), seed);
		block_table_.clear(stage::BlockTable::least, 0);
	}

	// False: there is no way left for this flow. `from_nic`: the hash comes with the packets.
	bool place(uint32_t flow, uint32_t hash, bool from_nic)
	{
		if (placed_[flow])
			return true;
		placed_[flow] = true;
		return in_slots_
		           ? place_in(buckets_[table_.bucket_of(hash)], flow, hash)
		           : place_in(block_table_.bucket(from_nic ? block_table_.bucket_of(hash)
		                                                   : block_table_.bucket_of_keyed(hash)),
		                      hash);
	}

private:
	static bool place_in(stage::Bucket &bucket, uint32_t flow, uint32_t hash)
	{
		const auto [same, vacant] = stage::GroupTable::look(bucket, hash);
		if (same)
			return true;
		if (!vacant)
			return false;
		const auto way = static_cast<uint32_t>(std::countr_zero(vacant));
		bucket.hash[way] = hash;
		bucket.head[way] = flow;
		return true;
	}
	// A word that is not 0 says that the way is taken.
	static bool place_in(stage::BlockBucket &bucket, uint32_t hash)
	{
		for (auto &way : bucket.way) {
			if (way.word == 0)
				way = {hash, 1};
			if (way.hash == hash)
				return true;
		}
		return false;
	}

	bool in_slots_;
	stage::GroupTable table_; // of all hashes that came
	std::vector<stage::Bucket> buckets_;
	std::vector<stage::BlockBucket> block_buckets_;
	stage::BlockTable block_table_;
	std::vector<bool> placed_;
};

} // namespace reframer::test
