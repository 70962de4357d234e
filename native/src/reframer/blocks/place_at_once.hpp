// A batch is placed at once: where each packet goes is found out before anything is written, so that
// loads wait for no stores. No branch depends on chance: which packets share a group, and how many of
// it are in front of each, is worked out with masks. Sixteen packets a vector.
#pragma once

#include "reframer/blocks/lanes.hpp"

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

[[gnu::always_inline]] inline __m512i set(uint32_t value)
{
	return _mm512_set1_epi32(static_cast<int>(value));
}
[[gnu::always_inline]] inline __m512i lowest_bit(__m512i x)
{
	return _mm512_and_si512(x, _mm512_sub_epi32(_mm512_setzero_si512(), x));
}
// Number of the highest bit.
[[gnu::always_inline]] inline __m512i highest_of(__m512i x)
{
	return _mm512_sub_epi32(set(31), _mm512_lzcnt_epi32(x));
}

// In memory, where scalar code finds each lane with a load: the compiler would take vectors apart.
[[gnu::always_inline]] inline void store(uint32_t *to, __m512i x)
{
	_mm512_store_si512(to, x);
	__asm__("" : "+m"(*reinterpret_cast<uint32_t(*)[16]>(to)));
}

// For each packet a bit for every earlier one of the batch with the same number; numbers are in
// memory, too.
[[gnu::always_inline]] inline void find_same(const __m512i (&number)[2], const uint32_t *numbers,
                                             __m512i (&same)[2])
{
	same[0] = _mm512_conflict_epi32(number[0]);
	__m512i before = _mm512_slli_epi32(_mm512_conflict_epi32(number[1]), 16);
#pragma GCC unroll 16
	for (uint32_t i = 0; i < 16; i++)
		before = _mm512_mask_or_epi32(before, _mm512_cmpeq_epi32_mask(number[1], set(numbers[i])),
		                              before, set(1u << i));
	same[1] = before;
}

[[gnu::always_inline]] inline __m512i buckets_of(const BlockTable &table, bool keyed, __m512i hash)
{
	const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(table.shift()));
	if (keyed)
		return _mm512_srl_epi32(hash, shift);
	const __m512i x =
		_mm512_mullo_epi32(_mm512_xor_si512(hash, set(table.key())), set(table.first_factor()));
	return _mm512_srl_epi32(_mm512_mullo_epi32(_mm512_xor_si512(x, _mm512_srli_epi32(x, 16)),
	                                           set(table.second_factor())),
	                        shift);
}

// A way of each of sixteen buckets.
struct Ways16 {
	__m512i hash[block_ways], word[block_ways];
};
// One load for each packet and a transposition take half the time of gathering. `at` says where
// buckets are, in bytes.
[[gnu::always_inline]] inline Ways16 load_ways(const BlockBucket *buckets, const uint32_t *at)
{
	const auto *const base = reinterpret_cast<const uint8_t *>(buckets);
	__m512i front[4], back[4]; // two ways of packets 0, 4, 8, 12; 1, 5, ...
#pragma GCC unroll 4
	for (uint32_t i = 0; i < 4; i++) {
		const __m128i *from[4];
#pragma GCC unroll 4
		for (uint32_t k = 0; k < 4; k++)
			from[k] = reinterpret_cast<const __m128i *>(base + at[4 * k + i]);
		const auto gather = [&](uint32_t half) {
			const __m256i low =
				_mm256_inserti128_si256(_mm256_castsi128_si256(_mm_load_si128(from[0] + half)),
			                            _mm_load_si128(from[1] + half), 1);
			const __m256i high =
				_mm256_inserti128_si256(_mm256_castsi128_si256(_mm_load_si128(from[2] + half)),
			                            _mm_load_si128(from[3] + half), 1);
			return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
		};
		front[i] = gather(0);
		back[i] = gather(1);
	}
	Ways16 ways;
	const auto transpose = [&](const __m512i(&of)[4], uint32_t first) {
		const __m512i low = _mm512_unpacklo_epi32(of[0], of[1]);
		const __m512i low2 = _mm512_unpacklo_epi32(of[2], of[3]);
		const __m512i high = _mm512_unpackhi_epi32(of[0], of[1]);
		const __m512i high2 = _mm512_unpackhi_epi32(of[2], of[3]);
		ways.hash[first] = _mm512_unpacklo_epi64(low, low2);
		ways.hash[first + 1] = _mm512_unpacklo_epi64(high, high2);
		ways.word[first] = _mm512_unpackhi_epi64(low, low2);
		ways.word[first + 1] = _mm512_unpackhi_epi64(high, high2);
	};
	transpose(front, 0);
	transpose(back, 2);
	return ways;
}

// What the table says of sixteen packets.
struct Found {
	__mmask16 waits;
	__m512i word, way; // of those that wait
	__m512i vacant;    // a bit a way
};
[[gnu::always_inline]] inline Found look_up(const Blocks &blocks, __mmask16 present, __m512i hash,
                                            const uint32_t *at)
{
	const Window window(blocks.rel, blocks.nb - blocks.rel);
	const __m512i rel = set(window.rel), span = set(window.span);
	const Ways16 ways = load_ways(&blocks.table.bucket(0), at);
	Found found = {0, _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
#pragma GCC unroll 4
	for (uint32_t way = 0; way < block_ways; way++) {
		const __m512i age = _mm512_sub_epi32(ways.word[way], rel);
		const __mmask16 gone = _mm512_cmpge_epu32_mask(age, span);
		const __mmask16 same = _mm512_mask_cmplt_epu32_mask(
			_mm512_mask_cmpeq_epi32_mask(present, ways.hash[way], hash), age, span);
		found.waits |= same;
		found.word = _mm512_mask_mov_epi32(found.word, same, ways.word[way]);
		found.way = _mm512_mask_mov_epi32(found.way, same, set(way));
		found.vacant = _mm512_mask_or_epi32(found.vacant, gone, found.vacant, set(1u << way));
	}
	return found;
}

// New blocks stand in a row; those behind another one are seen to later.
[[gnu::always_inline]] inline void begin_blocks(Blocks &blocks, const Batch &batch,
                                                const Plan &plan, const __m512i (&hash)[2],
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
	for (uint32_t half = 0; half < 2; half++) {
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
[[gnu::always_inline]] inline uint64_t pack_entries(const Batch &batch, uint32_t present,
                                                    Plan &plan)
{
	const uint32_t known = batch.length ? present : 0;
	const __m512i arrival = _mm512_set1_epi64(static_cast<int64_t>(batch.arrival << length_bits));
	const __m512i front = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
	const __m512i back = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
	__m256i bytes = _mm256_setzero_si256();
#pragma GCC unroll 4
	for (uint32_t at = 0; at < batch_packets; at += 8) {
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

inline Placed place_at_once(Blocks &blocks, const Batch &batch)
{
	const __m512i one = set(1);
	const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	const uint32_t present = ~uint32_t{0} >> (batch_packets - batch.count);
	const __mmask16 is_in[2] = {static_cast<__mmask16>(present),
	                            static_cast<__mmask16>(present >> 16)};
	Plan plan;
	// Their first lines, while groups are looked up.
	for (uint32_t i = 0; i < blocks.begun; i++)
		__builtin_prefetch(&blocks.blocks[(blocks.nb + i) & blocks.mask], 1);

	__m512i hash[2], bucket[2];
	for (uint32_t half = 0; half < 2; half++) {
		hash[half] = _mm512_maskz_loadu_epi32(is_in[half], batch.hash + 16 * half);
		bucket[half] = buckets_of(blocks.table, !blocks.nic_hash, hash[half]);
		store(plan.hash + 16 * half, hash[half]);
		store(plan.bucket + 16 * half, _mm512_slli_epi32(bucket[half], 5));
	}
	__m512i same[2], rivals[2];
	find_same(hash, plan.hash, same);
	find_same({_mm512_slli_epi32(bucket[0], 5), _mm512_slli_epi32(bucket[1], 5)}, plan.bucket,
	          rivals);
	const Found found[2] = {look_up(blocks, is_in[0], hash[0], plan.bucket),
	                        look_up(blocks, is_in[1], hash[1], plan.bucket + 16)};

	// Packets of one group behind each other, also those of the same batch.
	const __m512i limit = set(count_limit(batch)), in_block = set(block_packets - 1);
	__m512i before[2];
	uint32_t begun = 0, is_new = 0, over = 0;
	for (uint32_t half = 0; half < 2; half++) {
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
	__m512i way[2];
	const __m512i all_new = set(is_new);
	for (uint32_t half = 0; half < 2; half++) {
		const auto begins = static_cast<__mmask16>(is_new >> 16 * half);
		const __m512i rank = _mm512_popcnt_epi32(_mm512_and_si512(rivals[half], all_new));
		__m512i vacant = found[half].vacant;
		const __mmask16 second = _mm512_test_epi32_mask(rank, rank);
		vacant = _mm512_mask_and_epi32(vacant, second, vacant, _mm512_sub_epi32(vacant, one));
		over |= _mm512_mask_testn_epi32_mask(begins, vacant, vacant);
		over |= _mm512_mask_cmpgt_epu32_mask(begins, rank, one);
		way[half] = _mm512_mask_mov_epi32(found[half].way, begins, highest_of(lowest_bit(vacant)));
	}
	Placed placed = {0, 0, 0, pack_entries(batch, present, plan)};
	for (uint32_t half = 0; half < 2; half++) {
		const auto later = static_cast<__mmask16>(half ? is_in[1] : is_in[0] & ~1u);
		placed.changes +=
			static_cast<uint32_t>(std::popcount(uint32_t{_mm512_mask_cmpneq_epi32_mask(
				later, hash[half], _mm512_maskz_loadu_epi32(later, batch.hash + 16 * half - 1))}));
	}
	if (over) [[unlikely]]
		return placed; // nothing has happened

	const __m512i all_begun = set(begun), nb = set(blocks.nb), mask = set(blocks.mask);
	for (uint32_t half = 0; half < 2; half++) {
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
			way[half], joins, _mm512_permutex2var_epi32(way[0], first, way[1]));
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
		for (uint32_t half = 0; half < 2; half++) {
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
