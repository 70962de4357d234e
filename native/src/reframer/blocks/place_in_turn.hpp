// A batch is placed packet by packet, where it or the vectors are too short to place it at once.
#pragma once

#include "reframer/blocks/lanes.hpp"

#include <bit>

namespace reframer::stage {

namespace REFRAMER_ISA {

inline Placed place_in_turn(Blocks &blocks, const Batch &batch)
{
	static constexpr uint32_t no_lengths[batch_packets] = {};
	uint32_t index[batch_packets];
	uint64_t meta[batch_packets];
	const uint32_t count = batch.count, limit = count_limit(batch);
	const uint32_t *const hashes = batch.hash;
	const uint32_t *const lengths = batch.length ? batch.length : no_lengths;
	const uint64_t arrival = batch.arrival << length_bits;
	BlockTable table = blocks.table;
	Placed placed = {0, 0, 0, 0};
	if (blocks.nic_hash)
		for (uint32_t i = 0; i < count; i++) // vectorised by the compiler, as those below
			index[i] = table.bucket_of(hashes[i]);
	else
		for (uint32_t i = 0; i < count; i++)
			index[i] = table.bucket_of_keyed(hashes[i]);
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t length = lengths[i] < longest_length ? lengths[i] : longest_length;
		placed.bytes += length;
		meta[i] = arrival | length;
	}
	for (uint32_t i = 1; i < count; i++)
		placed.changes += hashes[i] != hashes[i - 1];
	for (uint32_t i = 0; i < count; i++)
		__builtin_prefetch(&table.bucket(index[i]), 1);
	// Also of what is begun in this batch: no other words are of positions to come.
	const Window window(blocks.rel, blocks.nb + count - blocks.rel);
	Entry *const entries = blocks.blocks->entry;
	uint32_t *const contents = blocks.contents;
	void *const *const packets = batch.packets;
	const uint32_t mask = blocks.mask;
	uint32_t nb = blocks.nb, i = 0;
	for (; i < count; i++) {
		const uint32_t hash = hashes[i];
		BlockBucket &bucket = table.bucket(index[i]);
		const Ways ways = look(bucket, hash, window);
		uint32_t way, word, content = 1;
		if (ways.same) {
			way = static_cast<uint32_t>(std::countr_zero(ways.same));
			word = bucket.way[way].word;
			const uint32_t before = word & count_mask;
			if (before + 1 >= limit) [[unlikely]]
				break;
			if (before % block_packets == 0) [[unlikely]] {
				blocks.nb = nb;
				blocks.begin_behind(nb, blocks.position_of(word));
				word = nb++ << count_bits | before;
			}
			content = (before + 1) | (before < block_packets ? 0 : is_behind);
		} else {
			if (!ways.vacant || limit == 1) [[unlikely]]
				break;
			way = static_cast<uint32_t>(std::countr_zero(ways.vacant));
			blocks.begin(nb, batch.deadline, hash);
			word = nb++ << count_bits;
			placed.new_groups++;
		}
		const uint32_t slot = word >> count_bits & mask;
		Entry &entry = entries[slot * block_packets + word % block_packets];
		entry.packet = packets[i];
		entry.meta = meta[i];
		contents[slot] = content;
		bucket.way[way] = {hash, word + 1};
	}
	blocks.nb = nb;
	placed.packets = i;
	return placed;
}

} // namespace REFRAMER_ISA

} // namespace reframer::stage
