// What the kernels do in vectors, for the instruction set that this is compiled for. Eight ways of a
// bucket are two vectors of 256 bits or four of 128; without either, loops of eight.
#pragma once

#include "reframer/blocks/blocks.hpp"
#include "reframer/histogram.hpp"

#include <bit>
#if defined(__SSE2__)
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

// A bit a way.
struct Ways {
	uint32_t same; // holds the group of this hash: at most one
	uint32_t vacant;
};

#if defined(__AVX512VL__) && defined(__AVX512DQ__)

[[gnu::always_inline]] inline Ways look(const Bucket &bucket, uint32_t hash, const Window &window)
{
	const __m256i hashes = _mm256_load_si256(reinterpret_cast<const __m256i *>(bucket.hash));
	const __m256i heads = _mm256_load_si256(reinterpret_cast<const __m256i *>(bucket.head));
	const __m256i age = _mm256_sub_epi32(heads, _mm256_set1_epi32(static_cast<int>(window.rel)));
	const __mmask8 live =
		_mm256_cmplt_epu32_mask(age, _mm256_set1_epi32(static_cast<int>(window.span)));
	const __mmask8 same =
		_mm256_mask_cmpeq_epi32_mask(live, hashes, _mm256_set1_epi32(static_cast<int>(hash)));
	return {same, live ^ 0xffu};
}

#elif defined(__AVX2__)

[[gnu::always_inline]] inline Ways look(const Bucket &bucket, uint32_t hash, const Window &window)
{
	const __m256i hashes = _mm256_load_si256(reinterpret_cast<const __m256i *>(bucket.hash));
	const __m256i heads = _mm256_load_si256(reinterpret_cast<const __m256i *>(bucket.head));
	const __m256i age = _mm256_sub_epi32(heads, _mm256_set1_epi32(static_cast<int>(window.rel)));
	// Not less than the span: the larger of the two is the age.
	const __m256i stale = _mm256_cmpeq_epi32(
		_mm256_max_epu32(age, _mm256_set1_epi32(static_cast<int>(window.span))), age);
	const __m256i equal = _mm256_cmpeq_epi32(hashes, _mm256_set1_epi32(static_cast<int>(hash)));
	return {static_cast<uint32_t>(
				_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_andnot_si256(stale, equal)))),
	        static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(stale)))};
}

#elif defined(__SSE2__)

[[gnu::always_inline]] inline uint32_t sign_bits(__m128i low, __m128i high)
{
	return static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(low))) |
	       static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(high))) << 4;
}

[[gnu::always_inline]] inline Ways look(const Bucket &bucket, uint32_t hash, const Window &window)
{
	const auto *const hashes = reinterpret_cast<const __m128i *>(bucket.hash);
	const auto *const heads = reinterpret_cast<const __m128i *>(bucket.head);
	// Compared as signed numbers: both moved by half of their range.
	constexpr uint32_t half = 1u << 31;
	const __m128i first = _mm_set1_epi32(static_cast<int>(window.rel + half));
	const __m128i span = _mm_set1_epi32(static_cast<int>(window.span ^ half));
	const __m128i wanted = _mm_set1_epi32(static_cast<int>(hash));
	const __m128i live_low = _mm_cmplt_epi32(_mm_sub_epi32(heads[0], first), span);
	const __m128i live_high = _mm_cmplt_epi32(_mm_sub_epi32(heads[1], first), span);
	return {sign_bits(_mm_and_si128(live_low, _mm_cmpeq_epi32(hashes[0], wanted)),
	                  _mm_and_si128(live_high, _mm_cmpeq_epi32(hashes[1], wanted))),
	        sign_bits(live_low, live_high) ^ 0xffu};
}

#else

inline Ways look(const Bucket &bucket, uint32_t hash, const Window &window)
{
	uint32_t same = 0, live = 0;
	for (uint32_t way = 0; way < bucket_ways; way++) {
		const uint32_t alive = bucket.head[way] - window.rel < window.span;
		live |= alive << way;
		same |= (alive & static_cast<uint32_t>(bucket.hash[way] == hash)) << way;
	}
	return {same, live ^ 0xffu};
}

#endif

// All eight entries, also those that are not in use; room for eight must be there. Where that takes
// many steps, only the half that is in use.
[[gnu::always_inline]] inline void copy_block(const Block &block, [[maybe_unused]] uint32_t count,
                                              void **packets, uint64_t *meta)
{
#if defined(__AVX512F__)
	const __m512i low = _mm512_load_si512(block.entry), high = _mm512_load_si512(block.entry + 4);
	const __m512i even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
	const __m512i odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
	_mm512_storeu_si512(packets, _mm512_permutex2var_epi64(low, even, high));
	_mm512_storeu_si512(meta, _mm512_permutex2var_epi64(low, odd, high));
#elif defined(__SSE2__)
	const auto *const entry = reinterpret_cast<const __m128i *>(block.entry);
	const uint32_t used = count > block_packets / 2 ? block_packets : block_packets / 2;
	for (uint32_t i = 0; i < used; i += 2) {
		_mm_storeu_si128(reinterpret_cast<__m128i *>(packets + i),
		                 _mm_unpacklo_epi64(entry[i], entry[i + 1]));
		_mm_storeu_si128(reinterpret_cast<__m128i *>(meta + i),
		                 _mm_unpackhi_epi64(entry[i], entry[i + 1]));
	}
#else
	for (uint32_t i = 0; i < block_packets; i++) {
		packets[i] = block.entry[i].packet;
		meta[i] = block.entry[i].meta;
	}
#endif
}

[[gnu::always_inline]] inline void add_up(const uint64_t *meta, uint32_t count, uint64_t now,
                                          Histograms &histograms, uint64_t &bytes,
                                          uint64_t &longest)
{
	uint32_t i = 0;
	uint64_t sum = 0, most = 0;
#if defined(__AVX512CD__) && defined(__AVX512DQ__)
	const __m512i length = _mm512_set1_epi64(longest_length), zero = _mm512_setzero_si512();
	const __m512i shifted = _mm512_set1_epi64(static_cast<int64_t>(now << length_bits));
	const __m512i last = _mm512_set1_epi64(REFRAMER_HISTOGRAM_BUCKETS - 1);
	__m512i sums = zero, largest = zero;
	for (; i + 8 <= count; i += 8) {
		const __m512i word = _mm512_loadu_si512(meta + i);
		const __m512i bytes8 = _mm512_and_si512(word, length);
		sums = _mm512_add_epi64(sums, bytes8);
		const __m512i hold = _mm512_srli_epi64(
			_mm512_sub_epi64(shifted, _mm512_andnot_si512(length, word)), length_bits);
		largest = _mm512_max_epu64(largest, hold);
		// hold_bucket(), eight at a time.
		const __m512i octave = _mm512_max_epi64(
			_mm512_sub_epi64(_mm512_set1_epi64(59), _mm512_lzcnt_epi64(hold)), zero);
		const __m512i bucket = _mm512_min_epi64(
			_mm512_add_epi64(_mm512_slli_epi64(octave, 4), _mm512_srlv_epi64(hold, octave)), last);
		if (_mm512_cmpeq_epi64_mask(
				bucket, _mm512_broadcastq_epi64(_mm512_castsi512_si128(bucket))) == 0xff) {
			histograms[0][_mm_cvtsi128_si32(_mm512_castsi512_si128(bucket))] += 8;
			continue;
		}
		alignas(32) uint32_t of[8];
		_mm256_store_si256(reinterpret_cast<__m256i *>(of), _mm512_cvtepi64_epi32(bucket));
		for (uint32_t lane = 0; lane < 8; lane++)
			histograms[lane % 4][of[lane]]++;
	}
	sum = static_cast<uint64_t>(_mm512_reduce_add_epi64(sums));
	most = _mm512_reduce_max_epu64(largest);
#endif
	// Packets that came in one burst and leave in one have equal hold times, and stand in a row.
	uint64_t previous = i < count ? hold_of(meta[i], now) : 0;
	uint32_t row = 0;
	const auto end_row = [&] {
		most = previous > most ? previous : most;
		histograms[0][hold_bucket(previous)] += row;
	};
	for (; i < count; i++) {
		sum += length_of(meta[i]);
		const uint64_t hold = hold_of(meta[i], now);
		if (hold != previous) {
			end_row();
			previous = hold;
			row = 0;
		}
		row++;
	}
	if (row > 0)
		end_row();
	bytes += sum;
	longest = most > longest ? most : longest;
}

} // namespace REFRAMER_ISA

} // namespace reframer::stage
