// Packets of a block on their way out: copied to the caller's array, their bytes added up, their hold
// times noted.
#pragma once

#include "reframer/blocks/blocks.hpp"
#include "reframer/histogram.hpp"

#include <algorithm>
#include <cstdint>
#if defined(__SSE4_1__)
#include <immintrin.h>
#endif

namespace reframer::stage {

namespace REFRAMER_ISA {

class Account {
public:
	Account(uint64_t now, HoldLog &holds, Histograms &histograms)
		: holds_(holds), histograms_(histograms),
		  // Less the word of an entry: the hold time, above what its length leaves of the lower bits.
		  now_(now << length_bits | longest_length)
	{
	}

	// Room in the log for some blocks; @return for how many packets.
	uint32_t make_room()
	{
		if (holds_.nb > HoldLog::room / 2)
			count_holds();
		return HoldLog::room - holds_.nb;
	}

	// All eight entries, also those behind `count`; room for eight must be there.
	[[gnu::always_inline]] void copy(const Block &block, uint32_t count, void **packets)
	{
		uint32_t *const holds = holds_.ns + holds_.nb;
#if defined(__AVX512F__)
		const __m512i low = _mm512_load_si512(block.entry);
		const __m512i high = _mm512_load_si512(block.entry + 4);
		const __m512i even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
		const __m512i odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
		const auto used = static_cast<__mmask8>((1u << count) - 1);
		_mm512_storeu_si512(packets, _mm512_permutex2var_epi64(low, even, high));
		const __m512i meta = _mm512_permutex2var_epi64(low, odd, high);
		bytes_ = _mm512_add_epi64(
			bytes_, _mm512_maskz_and_epi64(used, meta, _mm512_set1_epi64(longest_length)));
		const __m512i hold = _mm512_srli_epi64(
			_mm512_sub_epi64(_mm512_set1_epi64(static_cast<int64_t>(now_)), meta), length_bits);
		_mm256_storeu_si256(reinterpret_cast<__m256i *>(holds), _mm512_cvtepi64_epi32(hold));
#elif defined(__SSE4_1__)
		static constexpr uint64_t all = longest_length;
		// From `count` entries before the middle on: the lengths of those that are in use.
		static constexpr uint64_t lengths[2 * block_packets] = {all, all, all, all,
		                                                        all, all, all, all};
		const uint64_t *const used = lengths + block_packets - count;
		const __m128i now = _mm_set1_epi64x(static_cast<int64_t>(now_));
		// Most groups are of half a block at most.
		const uint32_t most = count > block_packets / 2 ? block_packets : block_packets / 2;
		for (uint32_t i = 0; i < most; i += 4) {
			const auto *const entry = reinterpret_cast<const __m128i *>(block.entry + i);
			__m128i hold[2];
			for (uint32_t k = 0; k < 2; k++) {
				const __m128i first = entry[2 * k], second = entry[2 * k + 1];
				_mm_storeu_si128(reinterpret_cast<__m128i *>(packets + i + 2 * k),
				                 _mm_unpacklo_epi64(first, second));
				const __m128i meta = _mm_unpackhi_epi64(first, second);
				bytes_ = _mm_add_epi64(
					bytes_, _mm_and_si128(meta, _mm_loadu_si128(reinterpret_cast<const __m128i *>(
													used + i + 2 * k))));
				hold[k] = _mm_srli_epi64(_mm_sub_epi64(now, meta), length_bits);
			}
			_mm_storeu_si128(reinterpret_cast<__m128i *>(holds + i),
			                 _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(hold[0]),
			                                                 _mm_castsi128_ps(hold[1]), 0x88)));
		}
#else
		const uint32_t used = count > block_packets / 2 ? block_packets : block_packets / 2;
		for (uint32_t i = 0; i < used; i++) {
			const uint64_t meta = block.entry[i].meta;
			packets[i] = block.entry[i].packet;
			holds[i] = static_cast<uint32_t>((now_ - meta) >> length_bits);
			bytes_ += i < count ? length_of(meta) : 0;
		}
#endif
		holds_.nb += count;
	}
	uint64_t bytes() const
	{
#if defined(__AVX512F__)
		return static_cast<uint64_t>(_mm512_reduce_add_epi64(bytes_));
#elif defined(__SSE4_1__)
		return static_cast<uint64_t>(_mm_cvtsi128_si64(bytes_)) +
		       static_cast<uint64_t>(_mm_extract_epi64(bytes_, 1));
#else
		return bytes_;
#endif
	}

	uint64_t longest = 0; // of those counted

private:
	[[gnu::noinline]] void count_holds()
	{
		Histograms &to = histograms_;
		const uint32_t nb = holds_.nb;
		uint32_t most = 0;
#if defined(__AVX512CD__)
		// hold_bucket(), sixteen at a time; none is beyond the last bucket.
		static_assert(hold_bucket(UINT32_MAX) < REFRAMER_HISTOGRAM_BUCKETS - 1);
		__m512i largest = _mm512_setzero_si512();
		uint32_t first = 0;
		for (; first + 16 <= nb; first += 16) {
			const __m512i hold = _mm512_load_si512(holds_.ns + first);
			largest = _mm512_max_epu32(largest, hold);
			const __m512i octave =
				_mm512_max_epi32(_mm512_sub_epi32(_mm512_set1_epi32(27), _mm512_lzcnt_epi32(hold)),
			                     _mm512_setzero_si512());
			alignas(64) uint32_t bucket[16];
			_mm512_store_si512(bucket, _mm512_add_epi32(_mm512_slli_epi32(octave, 4),
			                                            _mm512_srlv_epi32(hold, octave)));
#pragma GCC unroll 16
			for (uint32_t i = 0; i < 16; i++)
				to[i % 4][bucket[i]]++;
		}
		most = _mm512_reduce_max_epu32(largest);
#else
		uint32_t first = 0;
#endif
		for (uint32_t i = first; i < nb; i++) {
			most = std::max(most, holds_.ns[i]);
			to[i % 4][hold_bucket(holds_.ns[i])]++;
		}
		longest = std::max<uint64_t>(longest, most);
		holds_.nb = 0;
	}

	HoldLog &holds_;
	Histograms &histograms_;
	uint64_t now_;
#if defined(__AVX512F__)
	__m512i bytes_ = _mm512_setzero_si512();
#elif defined(__SSE4_1__)
	__m128i bytes_ = _mm_setzero_si128();
#else
	uint64_t bytes_ = 0;
#endif
};

} // namespace REFRAMER_ISA

} // namespace reframer::stage
