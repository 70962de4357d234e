// A batch is placed at once: where each packet goes is found out before anything is written, so that
// loads wait for no stores. No branch depends on chance: which packets share a group, and how many of
// it are in front of each, is worked out with masks. Sixteen packets a vector.
#pragma once

#include "reframer/blocks/sixteen.hpp"

#include <bit>
#include <cstring>

namespace reframer::stage {

namespace REFRAMER_ISA {

static_assert(batch_packets == 32, "two vectors");

// What is stored for each packet, and where.
struct Plan {
	alignas(64) uint32_t hash[batch_packets];
	alignas(64) uint32_t bucket[batch_packets]; // bytes from the start of the table
	alignas(64) uint32_t place[batch_packets];  // way of the table, counted from its start
	alignas(64) uint32_t entry[batch_packets];  // bytes from the start of the ring
	alignas(64) uint32_t slot[batch_packets];
	alignas(64) uint32_t content[batch_packets];  // word of the block
	alignas(64) uint32_t position[batch_packets]; // of the block
	alignas(64) uint32_t word[batch_packets];     // of the group as it waited
	alignas(64) uint32_t same[batch_packets];     // a bit for each earlier packet of the group
	alignas(64) uint64_t way[batch_packets];      // hash and word of the group with this packet
	alignas(64) Entry packet[batch_packets];
};

// New blocks stand in a row; those behind another one are seen to later.
template <uint32_t halves>
[[gnu::always_inline]] inline void begin_blocks(Blocks &blocks, const Batch &batch,
                                                const Plan &plan, const __m512i (&hash)[halves],
                                                uint32_t begun)
{
	const auto count = static_cast<uint32_t>(std::popcount(begun));
	const uint32_t slot = blocks.nb & blocks.mask;
	if (slot + count > blocks.mask + 1) [[unlikely]] { // around the end of the ring
		for (uint32_t left = begun; left; left &= left - 1) {
			const auto i = static_cast<uint32_t>(std::countr_zero(left));
			blocks.begin(plan.position[i], batch.deadline, batch.hash[i]);
		}
		return;
	}
	const __m512i due = _mm512_set1_epi64(static_cast<int64_t>(batch.deadline));
	uint32_t to = slot;
#pragma GCC unroll 2
	for (uint32_t half = 0; half < halves; half++) {
		const auto some = static_cast<__mmask16>(begun >> 16 * half);
		const auto n = static_cast<uint32_t>(std::popcount(static_cast<uint32_t>(some)));
		const auto mask = static_cast<__mmask16>((1u << n) - 1);
		_mm512_mask_storeu_epi32(blocks.hashes + to, mask,
		                         _mm512_maskz_compress_epi32(some, hash[half]));
		_mm512_mask_storeu_epi64(blocks.deadlines + to, static_cast<__mmask8>(mask), due);
		_mm512_mask_storeu_epi64(blocks.deadlines + to + 8, static_cast<__mmask8>(mask >> 8), due);
		to += n;
	}
}

// Groups that fill their last block: another one behind it.
[[gnu::always_inline]] inline void continue_groups(Blocks &blocks, const Plan &plan, uint32_t which)
{
	for (uint32_t left = which; left; left &= left - 1) {
		const auto i = static_cast<uint32_t>(std::countr_zero(left));
		const uint32_t same = plan.same[i];
		blocks.begin_behind(plan.position[i], same ? plan.position[31 - std::countl_zero(same)]
		                                           : blocks.position_of(plan.word[i]));
	}
}

// @return bytes of the batch.
template <uint32_t halves>
[[gnu::always_inline]] inline uint64_t pack_entries(const Batch &batch, uint32_t present,
                                                    Plan &plan)
{
	const uint32_t known = batch.length ? present : 0;
	const __m512i arrival = _mm512_set1_epi64(static_cast<int64_t>(batch.arrival << length_bits));
	const __m512i front = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
	const __m512i back = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
	__m256i bytes = _mm256_setzero_si256();
#pragma GCC unroll 4
	for (uint32_t at = 0; at < 16 * halves; at += 8) {
		const __m256i length = _mm256_min_epu32(
			_mm256_maskz_loadu_epi32(static_cast<__mmask8>(known >> at), batch.length + at),
			_mm256_set1_epi32(static_cast<int>(longest_length)));
		bytes = _mm256_add_epi32(bytes, length);
		const __m512i packets =
			_mm512_maskz_loadu_epi64(static_cast<__mmask8>(present >> at), batch.packets + at);
		const __m512i meta = _mm512_or_si512(arrival, _mm512_cvtepu32_epi64(length));
		_mm512_store_si512(plan.packet + at, _mm512_permutex2var_epi64(packets, front, meta));
		_mm512_store_si512(plan.packet + at + 4, _mm512_permutex2var_epi64(packets, back, meta));
	}
	return static_cast<uint32_t>(_mm512_reduce_add_epi32(_mm512_zextsi256_si512(bytes)));
}

[[gnu::always_inline]] inline void store_packets(Blocks &blocks, const Plan &plan, uint32_t count)
{
	auto *const entries = reinterpret_cast<uint8_t *>(blocks.blocks);
	uint32_t *const contents = blocks.contents;
	BlockBucket::Way *const ways = blocks.table.bucket(0).way;
	const auto one = [&](uint32_t i) {
		_mm_store_si128(reinterpret_cast<__m128i *>(entries + plan.entry[i]),
		                _mm_load_si128(reinterpret_cast<const __m128i *>(plan.packet + i)));
		contents[plan.slot[i]] = plan.content[i];
		std::memcpy(ways + plan.place[i], plan.way + i, sizeof *ways);
	};
	uint32_t i = 0;
	for (; i + 4 <= count; i += 4) {
		one(i);
		one(i + 1);
		one(i + 2);
		one(i + 3);
	}
	for (; i < count; i++)
		one(i);
}

// Of up to sixteen packets for each half.
template <uint32_t halves> inline Placed place_at_once(Blocks &blocks, const Batch &batch)
{
	const __m512i one = set(1);
	const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	const uint32_t present = ~uint32_t{0} >> (batch_packets - batch.count);
	const __mmask16 is_in[] = {static_cast<__mmask16>(present),
	                           static_cast<__mmask16>(present >> 16)};
	Plan plan;
	// Their first lines, while groups are looked up.
	for (uint32_t i = 0; i < blocks.begun; i++)
		__builtin_prefetch(&blocks.blocks[(blocks.nb + i) & blocks.mask], 1);

	__m512i hash[halves], bucket[halves], offset[halves];
	for (uint32_t half = 0; half < halves; half++) {
		hash[half] = _mm512_maskz_loadu_epi32(is_in[half], batch.hash + 16 * half);
		bucket[half] = buckets_of(blocks.table, !blocks.nic_hash, hash[half]);
		store(plan.hash + 16 * half, hash[half]);
		offset[half] = _mm512_slli_epi32(bucket[half], 5);
		store(plan.bucket + 16 * half, offset[half]);
	}
	__m512i same[halves], rivals[halves];
	find_same(hash, plan.hash, same);
	find_same(offset, plan.bucket, rivals);
	Found found[halves];
	for (uint32_t half = 0; half < halves; half++)
		found[half] = look_up(blocks, is_in[half], hash[half], plan.bucket + 16 * half);

	// Packets of one group behind each other, also those of the same batch.
	const __m512i limit = set(count_limit(batch)), in_block = set(block_packets - 1);
	__m512i before[halves];
	uint32_t begun = 0, is_new = 0, over = 0;
	for (uint32_t half = 0; half < halves; half++) {
		before[half] = _mm512_add_epi32(_mm512_and_si512(found[half].word, set(count_mask)),
		                                _mm512_popcnt_epi32(same[half]));
		const uint32_t at = 16 * half;
		begun |= uint32_t{_mm512_mask_testn_epi32_mask(is_in[half], before[half], in_block)} << at;
		is_new |= uint32_t{_mm512_mask_testn_epi32_mask(is_in[half], before[half], before[half])}
		          << at;
		over |=
			_mm512_mask_cmpge_epu32_mask(is_in[half], _mm512_add_epi32(before[half], one), limit);
	}

	// Groups to begin take the vacant ways of a bucket one after the other.
	__m512i way[halves];
	const __m512i all_new = set(is_new);
	for (uint32_t half = 0; half < halves; half++) {
		const auto begins = static_cast<__mmask16>(is_new >> 16 * half);
		const __m512i rank = _mm512_popcnt_epi32(_mm512_and_si512(rivals[half], all_new));
		__m512i vacant = found[half].vacant;
		const __mmask16 second = _mm512_test_epi32_mask(rank, rank);
		vacant = _mm512_mask_and_epi32(vacant, second, vacant, _mm512_sub_epi32(vacant, one));
		over |= _mm512_mask_testn_epi32_mask(begins, vacant, vacant);
		over |= _mm512_mask_cmpgt_epu32_mask(begins, rank, one);
		way[half] = _mm512_mask_mov_epi32(found[half].way, begins, highest_of(lowest_bit(vacant)));
	}
	Placed placed = {0, 0, 0, pack_entries<halves>(batch, present, plan)};
	for (uint32_t half = 0; half < halves; half++) {
		const auto later = static_cast<__mmask16>(half ? is_in[1] : is_in[0] & ~1u);
		placed.changes +=
			static_cast<uint32_t>(std::popcount(uint32_t{_mm512_mask_cmpneq_epi32_mask(
				later, hash[half], _mm512_maskz_loadu_epi32(later, batch.hash + 16 * half - 1))}));
	}
	if (over) [[unlikely]]
		return placed; // nothing has happened

	const __m512i all_begun = set(begun), nb = set(blocks.nb), mask = set(blocks.mask);
	for (uint32_t half = 0; half < halves; half++) {
		const uint32_t at = 16 * half;
		const __m512i own = _mm512_sllv_epi32(one, _mm512_add_epi32(lane, set(at)));
		// The last packet of the group that begins a block, this one included. None: the block is
		// that of the table.
		const __m512i mine = _mm512_and_si512(all_begun, _mm512_or_si512(same[half], own));
		const __mmask16 in_batch = _mm512_test_epi32_mask(mine, mine);
		const __m512i below = _mm512_sub_epi32(_mm512_sllv_epi32(one, highest_of(mine)), one);
		const __m512i fresh =
			_mm512_add_epi32(nb, _mm512_popcnt_epi32(_mm512_and_si512(all_begun, below)));
		const __m512i position =
			_mm512_mask_mov_epi32(_mm512_srli_epi32(found[half].word, count_bits), in_batch, fresh);
		const __m512i count = _mm512_add_epi32(before[half], one);
		_mm512_store_si512(plan.position + at, position);
		const __m512i slot = _mm512_and_si512(position, mask);
		_mm512_store_si512(plan.slot + at, slot);
		_mm512_store_si512(
			plan.entry + at,
			_mm512_slli_epi32(_mm512_or_si512(_mm512_slli_epi32(slot, 3),
		                                      _mm512_and_si512(before[half], in_block)),
		                      4));
		_mm512_store_si512(plan.content + at,
		                   _mm512_mask_or_epi32(count,
		                                        _mm512_cmpgt_epu32_mask(before[half], in_block),
		                                        count, set(is_behind)));
		// The way of a group's first packet in the batch is that of all.
		const auto joins = static_cast<__mmask16>(~found[half].waits &
		                                          _mm512_test_epi32_mask(same[half], same[half]));
		const __m512i first = highest_of(lowest_bit(same[half]));
		const __m512i shared = _mm512_mask_mov_epi32(
			way[half], joins, _mm512_permutex2var_epi32(way[0], first, way[halves - 1]));
		_mm512_store_si512(plan.place + at,
		                   _mm512_or_si512(_mm512_slli_epi32(bucket[half], 2), shared));
		const __m512i word = _mm512_or_si512(_mm512_slli_epi32(position, count_bits), count);
		const __m512i front =
			_mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
		const __m512i back =
			_mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
		_mm512_store_si512(plan.way + at, _mm512_permutex2var_epi32(hash[half], front, word));
		_mm512_store_si512(plan.way + at + 8, _mm512_permutex2var_epi32(hash[half], back, word));
	}
	static_assert(block_packets == 8 && block_ways == 4 && sizeof(BlockBucket) == 32);

	begin_blocks(blocks, batch, plan, hash, begun);
	store_packets(blocks, plan, batch.count);
	// Last: a block that is full and gets another one behind it says so in what was just stored.
	if (const uint32_t continued = begun & ~is_new) {
		for (uint32_t half = 0; half < halves; half++) {
			_mm512_store_si512(plan.same + 16 * half, same[half]);
			_mm512_store_si512(plan.word + 16 * half, found[half].word);
		}
		continue_groups(blocks, plan, continued);
	}
	blocks.begun = static_cast<uint32_t>(std::popcount(begun));
	blocks.nb += blocks.begun;
	placed.packets = batch.count;
	placed.new_groups = static_cast<uint32_t>(std::popcount(is_new));
	return placed;
}

} // namespace REFRAMER_ISA

} // namespace reframer::stage
