// A batch is placed at once: where each packet goes is found out before anything is written, so that
// loads wait for no stores. No branch depends on chance: which packets share a group, and how many of
// it are in front of each, is worked out with masks.
#pragma once

#include "reframer/blocks/lanes.hpp"

#include <bit>

namespace reframer::stage {

namespace REFRAMER_ISA {

struct Plan {
	alignas(64) uint32_t same[batch_packets]; // earlier packets of the batch with the same hash
	alignas(64) uint32_t bucket[batch_packets];
	alignas(64) uint8_t found[batch_packets];   // a bit a way: holds the group
	alignas(64) uint8_t vacant[batch_packets];  // a bit a way
	alignas(64) uint32_t word[batch_packets];   // of the group that waits, if one does
	alignas(64) uint32_t way[batch_packets];    // of that group, or of the one to begin
	alignas(64) uint32_t before[batch_packets]; // packets of the group in front of this one
	alignas(64) uint32_t position[batch_packets];
	// What is stored.
	alignas(64) uint64_t meta[batch_packets];
	alignas(64) uint32_t slot[batch_packets], entry[batch_packets];
	alignas(64) uint32_t content[batch_packets], fresh[batch_packets]; // words: block, group
	uint32_t new_groups, continued; // a bit a packet that begins a block
	bool shared;                    // two packets of the batch are of one group
	bool over;                      // a group reaches max_burst, or is long
};

// For each packet a bit for every earlier one of the batch with the same hash. @return how often the
// hash changes from packet to packet.
[[gnu::always_inline]] inline uint32_t find_same(const uint32_t *hash, uint32_t count,
                                                 uint32_t *same)
{
	const uint32_t present = ~uint32_t{0} >> (batch_packets - count);
	const auto upper = static_cast<__mmask16>(present >> 16);
	const __m512i low = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(present), hash);
	const __m512i high = _mm512_maskz_loadu_epi32(upper, hash + 16);
	_mm512_store_si512(same, _mm512_conflict_epi32(low));
	__m512i before = _mm512_slli_epi32(_mm512_conflict_epi32(high), 16);
	const uint32_t nb_low = count < 16 ? 0 : 16;
	for (uint32_t i = 0; i < nb_low; i++)
		before = _mm512_mask_or_epi32(
			before, _mm512_cmpeq_epi32_mask(high, _mm512_set1_epi32(static_cast<int>(hash[i]))),
			before, _mm512_set1_epi32(1 << i));
	_mm512_store_si512(same + 16, before);
	const auto later = static_cast<__mmask16>(present & ~1u);
	const __mmask16 changes[2] = {
		_mm512_mask_cmpneq_epi32_mask(later, low, _mm512_maskz_loadu_epi32(later, hash - 1)),
		_mm512_mask_cmpneq_epi32_mask(upper, high, _mm512_maskz_loadu_epi32(upper, hash + 15))};
	return static_cast<uint32_t>(std::popcount(_mm512_kunpackw(changes[1], changes[0])));
}

// Each bucket as it is before the batch: all loads before all stores, none waits for another.
[[gnu::always_inline]] inline void look_up(const Blocks &blocks, const Batch &batch, Plan &plan)
{
	const Window window(blocks.rel, blocks.nb - blocks.rel);
	const GroupTable table = blocks.table;
	const uint32_t *const hash = batch.hash;
	const uint32_t count = batch.count;
	if (blocks.nic_hash)
		for (uint32_t i = 0; i < count; i++)
			plan.bucket[i] = table.bucket_of(hash[i]);
	else
		for (uint32_t i = 0; i < count; i++)
			plan.bucket[i] = table.bucket_of_keyed(hash[i]);
	for (uint32_t i = 0; i < count; i++) {
		const Ways ways = look(table.bucket(plan.bucket[i]), hash[i], window);
		plan.found[i] = static_cast<uint8_t>(ways.same);
		plan.vacant[i] = static_cast<uint8_t>(ways.vacant);
	}
}

// The rest of what is known of the group that waits, then packets of one group behind each other, also
// those of the same batch.
[[gnu::always_inline]] inline void line_up(const Blocks &blocks, const Batch &batch, Plan &plan)
{
	const __m512i one = _mm512_set1_epi32(1), last_bit = _mm512_set1_epi32(31);
	const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	const uint32_t present = ~uint32_t{0} >> (batch_packets - batch.count);
	const __m512i limit = _mm512_set1_epi32(static_cast<int>(count_limit(batch)));
	const void *const words = blocks.table.bucket(0).head;
	__m512i same[2], word[2];
	__mmask16 begins[2], is_new[2], over[2];
	for (uint32_t half = 0; half < 2; half++) {
		const uint32_t at = 16 * half;
		const auto mask = static_cast<__mmask16>(present >> at);
		const __m512i found = _mm512_cvtepu8_epi32(
			_mm_load_si128(reinterpret_cast<const __m128i *>(plan.found + at)));
		const __mmask16 waits = _mm512_mask_test_epi32_mask(mask, found, found);
		const __m512i way = _mm512_sub_epi32(last_bit, _mm512_lzcnt_epi32(found));
		const __m512i index =
			_mm512_add_epi32(_mm512_slli_epi32(_mm512_load_si512(plan.bucket + at), 4), way);
		word[half] = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), waits, index, words, 4);
		same[half] = _mm512_load_si512(plan.same + at);
		const __m512i before =
			_mm512_add_epi32(_mm512_and_epi32(word[half], _mm512_set1_epi32(count_mask)),
		                     _mm512_popcnt_epi32(same[half]));
		begins[half] = _mm512_testn_epi32_mask(before, _mm512_set1_epi32(block_packets - 1));
		is_new[half] = _mm512_testn_epi32_mask(before, before);
		over[half] = _mm512_cmpge_epu32_mask(_mm512_add_epi32(before, one), limit);
		_mm512_store_si512(plan.before + at, before);
		_mm512_store_si512(plan.way + at, way);
		_mm512_store_si512(plan.word + at, word[half]);
	}
	const uint32_t begun = _mm512_kunpackw(begins[1], begins[0]) & present;
	plan.new_groups = _mm512_kunpackw(is_new[1], is_new[0]) & present;
	plan.continued = begun & ~plan.new_groups;
	plan.over = (_mm512_kunpackw(over[1], over[0]) & present) != 0;
	plan.shared =
		(_mm512_test_epi32_mask(same[0], same[0]) | _mm512_test_epi32_mask(same[1], same[1])) != 0;
	const __m512i all_begun = _mm512_set1_epi32(static_cast<int>(begun));
	const __m512i nb = _mm512_set1_epi32(static_cast<int>(blocks.nb));
	for (uint32_t half = 0; half < 2; half++) {
		const uint32_t at = 16 * half;
		const __m512i own = _mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int>(at)));
		// The last packet of the group that begins a block, this one included. None: the block is
		// that of the table.
		const __m512i mine =
			_mm512_and_si512(all_begun, _mm512_or_si512(same[half], _mm512_sllv_epi32(one, own)));
		const __mmask16 in_batch = _mm512_test_epi32_mask(mine, mine);
		const __m512i last = _mm512_sub_epi32(last_bit, _mm512_lzcnt_epi32(mine));
		const __m512i below = _mm512_sub_epi32(_mm512_sllv_epi32(one, last), one);
		const __m512i fresh =
			_mm512_add_epi32(nb, _mm512_popcnt_epi32(_mm512_and_si512(all_begun, below)));
		_mm512_store_si512(
			plan.position + at,
			_mm512_mask_mov_epi32(_mm512_srli_epi32(word[half], count_bits), in_batch, fresh));
	}
}

// @return bytes of the batch.
[[gnu::always_inline]] inline uint64_t lay_out(const Blocks &blocks, const Batch &batch, Plan &plan)
{
	const uint32_t present = batch.length ? ~uint32_t{0} >> (batch_packets - batch.count) : 0;
	const __m512i one = _mm512_set1_epi32(1);
	const __m512i mask = _mm512_set1_epi32(static_cast<int>(blocks.mask));
	const __m512i in_block = _mm512_set1_epi32(block_packets - 1);
	const __m512i arrival = _mm512_set1_epi64(static_cast<int64_t>(batch.arrival << length_bits));
	__m512i bytes = _mm512_setzero_si512();
	for (uint32_t half = 0; half < 2; half++) {
		const uint32_t at = 16 * half;
		const __m512i length = _mm512_min_epu32(
			_mm512_maskz_loadu_epi32(static_cast<__mmask16>(present >> at), batch.length + at),
			_mm512_set1_epi32(static_cast<int>(longest_length)));
		bytes = _mm512_add_epi32(bytes, length);
		_mm512_store_si512(
			plan.meta + at,
			_mm512_or_si512(arrival, _mm512_cvtepu32_epi64(_mm512_castsi512_si256(length))));
		_mm512_store_si512(
			plan.meta + at + 8,
			_mm512_or_si512(arrival, _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(length, 1))));
		const __m512i position = _mm512_load_si512(plan.position + at);
		const __m512i before = _mm512_load_si512(plan.before + at);
		const __m512i slot = _mm512_and_si512(position, mask);
		const __m512i count = _mm512_add_epi32(before, one);
		_mm512_store_si512(plan.slot + at, slot);
		_mm512_store_si512(plan.entry + at, _mm512_or_si512(_mm512_slli_epi32(slot, 3),
		                                                    _mm512_and_si512(before, in_block)));
		_mm512_store_si512(plan.content + at,
		                   _mm512_mask_or_epi32(count, _mm512_cmpgt_epu32_mask(before, in_block),
		                                        count,
		                                        _mm512_set1_epi32(static_cast<int>(is_behind))));
		_mm512_store_si512(plan.fresh + at,
		                   _mm512_or_si512(_mm512_slli_epi32(position, count_bits), count));
	}
	static_assert(block_packets == 8);
	return static_cast<uint32_t>(_mm512_reduce_add_epi32(bytes));
}

// New blocks stand in a row; those behind another one are seen to later.
[[gnu::always_inline]] inline void begin_blocks(Blocks &blocks, const Batch &batch,
                                                const Plan &plan)
{
	const uint32_t begun = plan.new_groups | plan.continued;
	const auto count = static_cast<uint32_t>(std::popcount(begun));
	const uint32_t slot = blocks.nb & blocks.mask;
	if (slot + count > blocks.mask + 1) [[unlikely]] { // around the end of the ring
		for (uint32_t left = begun; left; left &= left - 1) {
			const auto i = static_cast<uint32_t>(std::countr_zero(left));
			blocks.begin(plan.position[i], batch.deadline, batch.hash[i]);
		}
		return;
	}
	const uint32_t present = ~uint32_t{0} >> (batch_packets - batch.count);
	const __m512i due = _mm512_set1_epi64(static_cast<int64_t>(batch.deadline));
	for (uint32_t half = 0, to = slot; half < 2; half++) {
		const auto some = static_cast<__mmask16>(begun >> 16 * half);
		const auto n = static_cast<uint32_t>(std::popcount(static_cast<uint32_t>(some)));
		const auto mask = static_cast<__mmask16>((1u << n) - 1);
		const __m512i hash = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(present >> 16 * half),
		                                              batch.hash + 16 * half);
		_mm512_mask_storeu_epi32(blocks.hashes + to, mask, _mm512_maskz_compress_epi32(some, hash));
		_mm512_mask_storeu_epi64(blocks.deadlines + to, static_cast<__mmask8>(mask), due);
		_mm512_mask_storeu_epi64(blocks.deadlines + to + 8, static_cast<__mmask8>(mask >> 8), due);
		to += n;
	}
}

// The way of a group's first packet in the batch is that of all.
[[gnu::always_inline]] inline void share_ways(uint32_t, Plan &plan)
{
	const __m512i low = _mm512_load_si512(plan.way), high = _mm512_load_si512(plan.way + 16);
	for (uint32_t half = 0; half < 2; half++) {
		const __m512i same = _mm512_load_si512(plan.same + 16 * half);
		const __m512i lowest =
			_mm512_and_si512(same, _mm512_sub_epi32(_mm512_setzero_si512(), same));
		const __m512i first = _mm512_sub_epi32(_mm512_set1_epi32(31), _mm512_lzcnt_epi32(lowest));
		_mm512_mask_store_epi32(plan.way + 16 * half, _mm512_test_epi32_mask(same, same),
		                        _mm512_permutex2var_epi32(low, first, high));
	}
}

// A way for each group to begin. Groups of one batch may want the same bucket: what one takes is
// noted, for all buckets that share a note, which at worst leaves a way unused.
// False: there is no way; nothing has happened.
[[gnu::always_inline]] inline bool choose_ways(const Blocks &blocks, const Batch &batch, Plan &plan)
{
	constexpr uint32_t nb_notes = 256;
	alignas(64) uint8_t taken[nb_notes] = {};
	GroupTable table = blocks.table;
	const uint32_t *const hashes = batch.hash;
	for (uint32_t left = plan.new_groups; left; left &= left - 1) {
		const auto i = static_cast<uint32_t>(std::countr_zero(left));
		const uint32_t index = plan.bucket[i], hash = hashes[i];
		const uint32_t vacant = plan.vacant[i] & ~uint32_t{taken[index % nb_notes]};
		if (!vacant) [[unlikely]]
			return false; // the words of what was chosen so far say that it is vacant
		taken[index % nb_notes] |= static_cast<uint8_t>(vacant & -vacant);
		const auto way = static_cast<uint32_t>(std::countr_zero(vacant));
		plan.way[i] = way;
		table.bucket(index).hash[way] = hash;
	}
	return true;
}

// Groups that fill their last block: another one behind it.
[[gnu::always_inline]] inline void continue_groups(Blocks &blocks, Plan &plan)
{
	for (uint32_t left = plan.continued; left; left &= left - 1) {
		const auto i = static_cast<uint32_t>(std::countr_zero(left));
		const uint32_t same = plan.same[i];
		blocks.begin_behind(plan.position[i], same ? plan.position[31 - std::countl_zero(same)]
		                                           : blocks.position_of(plan.word[i]));
	}
}

[[gnu::always_inline]] inline void store_packets(Blocks &blocks, const Batch &batch,
                                                 const Plan &plan)
{
	Entry *const entries = blocks.blocks->entry;
	uint32_t *const contents = blocks.contents;
	GroupTable table = blocks.table;
	void *const *const packets = batch.packets;
	const uint32_t count = batch.count;
	for (uint32_t i = 0; i < count; i++) {
		Entry &entry = entries[plan.entry[i]];
		entry.packet = packets[i];
		entry.meta = plan.meta[i];
		contents[plan.slot[i]] = plan.content[i];
		table.bucket(plan.bucket[i]).head[plan.way[i]] = plan.fresh[i];
	}
}

inline Placed place_at_once(Blocks &blocks, const Batch &batch)
{
	Plan plan;
	// Their first lines, while groups are looked up.
	for (uint32_t i = 0; i < blocks.begun; i++)
		__builtin_prefetch(&blocks.blocks[(blocks.nb + i) & blocks.mask], 1);
	Placed placed = {0, 0, find_same(batch.hash, batch.count, plan.same), 0};
	look_up(blocks, batch, plan);
	line_up(blocks, batch, plan);
	placed.bytes = lay_out(blocks, batch, plan);
	if (plan.over || !choose_ways(blocks, batch, plan)) [[unlikely]]
		return placed;
	begin_blocks(blocks, batch, plan);
	if (plan.shared)
		share_ways(batch.count, plan);
	store_packets(blocks, batch, plan);
	// Last: a block that is full and gets another one behind it says so in what was just stored.
	continue_groups(blocks, plan);
	blocks.begun = static_cast<uint32_t>(std::popcount(plan.new_groups | plan.continued));
	blocks.nb += blocks.begun;
	placed.packets = batch.count;
	placed.new_groups = static_cast<uint32_t>(std::popcount(plan.new_groups));
	return placed;
}

} // namespace REFRAMER_ISA

} // namespace reframer::stage
