// What the kernels share of the table, for the instruction set that this is compiled for.
#pragma once

#include "reframer/blocks/blocks.hpp"

#include <bit>
#if defined(__SSE4_1__)
#include <immintrin.h>
#endif

namespace reframer::stage {

namespace REFRAMER_ISA {

// The words of the table that are alive, see Blocks::live_word().
struct Window {
	Window(uint32_t first, uint32_t size) : rel(first << count_bits), span(size << count_bits) {}
	uint32_t rel, span;
};

// Packets of a group at which the kernels leave it to the stage.
[[gnu::always_inline]] inline uint32_t count_limit(const Batch &batch)
{
	return batch.max_burst < long_group ? batch.max_burst : long_group;
}

// A bit for each way.
struct Ways {
	uint32_t same; // holds the group of this hash: at most one
	uint32_t vacant;
};
static_assert(block_ways == 4);

#if defined(__SSE4_1__)

[[gnu::always_inline]] inline Ways look(const BlockBucket &bucket, uint32_t hash,
                                        const Window &window)
{
	const auto *const ways = reinterpret_cast<const float *>(bucket.way);
	const __m128 front = _mm_load_ps(ways), back = _mm_load_ps(ways + 4);
	const __m128i hashes = _mm_castps_si128(_mm_shuffle_ps(front, back, 0x88));
	const __m128i words = _mm_castps_si128(_mm_shuffle_ps(front, back, 0xdd));
	const __m128i age = _mm_sub_epi32(words, _mm_set1_epi32(static_cast<int>(window.rel)));
	// Not less than the span: the larger of the two is the age.
	const __m128i vacant =
		_mm_cmpeq_epi32(_mm_max_epu32(age, _mm_set1_epi32(static_cast<int>(window.span))), age);
	const __m128i equal = _mm_cmpeq_epi32(hashes, _mm_set1_epi32(static_cast<int>(hash)));
	return {
		static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(_mm_andnot_si128(vacant, equal)))),
		static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(vacant)))};
}

#else

inline Ways look(const BlockBucket &bucket, uint32_t hash, const Window &window)
{
	Ways ways = {0, 0};
	for (uint32_t i = 0; i < block_ways; i++) {
		const uint32_t vacant = bucket.way[i].word - window.rel >= window.span;
		ways.vacant |= vacant << i;
		ways.same |= (~vacant & static_cast<uint32_t>(bucket.way[i].hash == hash)) << i;
	}
	return ways;
}

#endif

} // namespace REFRAMER_ISA

} // namespace reframer::stage
