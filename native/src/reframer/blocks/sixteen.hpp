// What is known of sixteen packets: their bucket, what it holds, who of them are of one group.
#pragma once

#include "reframer/blocks/lanes.hpp"

namespace reframer::stage {

namespace REFRAMER_ISA {

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
template <uint32_t halves>
[[gnu::always_inline]] inline void find_same(const __m512i (&number)[halves],
                                             const uint32_t *numbers, __m512i (&same)[halves])
{
	same[0] = _mm512_conflict_epi32(number[0]);
	if constexpr (halves == 1)
		return;
	__m512i before = _mm512_slli_epi32(_mm512_conflict_epi32(number[halves - 1]), 16);
#pragma GCC unroll 16
	for (uint32_t i = 0; i < 16; i++)
		before = _mm512_mask_or_epi32(before,
		                              _mm512_cmpeq_epi32_mask(number[halves - 1], set(numbers[i])),
		                              before, set(1u << i));
	same[halves - 1] = before;
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

} // namespace REFRAMER_ISA

} // namespace reframer::stage
