// The steps of a burst: which lines its keys may live in, in which cells they do.
//
// Eight keys at a time, in vectors where the instruction set has them. A key that is there takes no
// branch that depends on which line or cell it is in.
#pragma once

#include "conntrack/table.hpp"

#include <cstring>

namespace reframer::conntrack {

inline namespace REFRAMER_ISA {

constexpr uint32_t lanes = 8;

// Lines of keys whose group is detached: no token matches, and the books send every key the slow
// way, where such keys are counted.
inline constexpr Line no_home = {.token = {},
                                 .word = {},
                                 .clock = {},
                                 .filter = UINT16_MAX,
                                 .nb_away = 0,
                                 .nb_spilled = full_count,
                                 .bits = {},
                                 .filter_of = {}};

// Addresses of both lines of eight digests in one region.
[[gnu::always_inline]] inline void eight_lines(const Region &r, const uint64_t *digests,
                                               uintptr_t *home, uintptr_t *second)
{
#if defined(__AVX512DQ__)
	const __m512i d = _mm512_loadu_si512(digests);
	const __m512i old = _mm512_srli_epi64(_mm512_mul_epu32(d, _mm512_set1_epi64(r.nb_pages)), 32);
	const __m512i moved =
		_mm512_srli_epi64(_mm512_mul_epu32(d, _mm512_set1_epi64(r.next_pages)), 32);
	const __m512i line = _mm512_and_si512(_mm512_srli_epi64(d, 32), _mm512_set1_epi64(63));
	const __mmask8 has_moved = _mm512_cmpge_epu64_mask(
		_mm512_or_si512(_mm512_slli_epi64(old, 6), line), _mm512_set1_epi64(r.frontier));
	const __m512i page = _mm512_mask_blend_epi64(has_moved, old, moved);
	const __m512i inside = _mm512_slli_epi64(line, 6);
	const __m512i at = _mm512_add_epi64(_mm512_or_si512(_mm512_slli_epi64(page, 12), inside),
	                                    _mm512_set1_epi64(reinterpret_cast<long long>(r.lines)));
	// digest_way() * 64: its five bits one further up, and the lowest set.
	const __m512i way =
		_mm512_or_si512(_mm512_and_si512(_mm512_slli_epi64(_mm512_srli_epi64(d, 38), 7),
	                                     _mm512_set1_epi64(31 << 7)),
	                    _mm512_set1_epi64(64));
	_mm512_store_si512(home, at);
	_mm512_store_si512(second, _mm512_xor_si512(at, way));
#else
	const auto base = reinterpret_cast<uintptr_t>(r.lines);
	for (uint32_t i = 0; i < lanes; i++) {
		const uint64_t d = digests[i], position = d & UINT32_MAX;
		const uint64_t old = position * r.nb_pages >> 32, moved = position * r.next_pages >> 32;
		const uint64_t page = old * lines_per_page + digest_line(d) >= r.frontier ? moved : old;
		home[i] = base + (page << 12 | uint64_t{digest_line(d)} << 6);
		second[i] = home[i] ^ uint64_t { digest_way(d) } << 6;
	}
#endif
}
static_assert(page_bytes == 1 << 12 && sizeof(Line) == 1 << 6 && lines_per_page == 1 << 6);

// Of each key the address of the word in its cell, 0 where neither line has it.
// @return bit per key that was found.
#if defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__AVX512BW__)
template <unsigned KeySize>
[[gnu::always_inline]] inline uint32_t eight_cells(const uintptr_t *home, const uintptr_t *second,
                                                   const uint8_t *keys, const uint64_t *round,
                                                   uintptr_t *word)
{
	const __m128i first_round = _mm_load_si128(reinterpret_cast<const __m128i *>(round));
	auto match = [&](uint32_t i) {
		__m128i token = _mm_loadu_si128(reinterpret_cast<const __m128i *>(keys + size_t{i} * 16));
		if constexpr (KeySize == 16)
			token = _mm_xor_si128(token, first_round);
		const __m512i lines = _mm512_inserti64x4(
			_mm512_castsi256_si512(_mm256_load_si256(reinterpret_cast<const __m256i *>(home[i]))),
			_mm256_load_si256(reinterpret_cast<const __m256i *>(second[i])), 1);
		return _mm512_cmpeq_epi64_mask(lines, _mm512_maskz_broadcast_i64x2(0xff, token));
	};
	auto pair = [&](uint32_t i) { return _mm512_kunpackb(match(i + 1), match(i)); };
	const __mmask32 low = _mm512_kunpackw(pair(2), pair(0)),
					high = _mm512_kunpackw(pair(6), pair(4));
	const uint64_t words = static_cast<uint64_t>(_mm512_kunpackd(high, low));
	// Bits 0, 2, 4, 6 of a key's byte: cells of home, then of the second line, whose both words
	// match.
	const uint64_t cells = words & words >> 1 & 0x5555555555555555u;
	const __m512i of_key = _mm512_cvtepu8_epi64(_mm_cvtsi64_si128(static_cast<long long>(cells)));
	const __mmask8 found = _mm512_test_epi64_mask(of_key, of_key);
	const __mmask8 in_second = _mm512_test_epi64_mask(of_key, _mm512_set1_epi64(0x50));
	const __mmask8 in_other = _mm512_test_epi64_mask(of_key, _mm512_set1_epi64(0x44));
	__m512i at =
		_mm512_mask_blend_epi64(in_second, _mm512_load_si512(home), _mm512_load_si512(second));
	at = _mm512_add_epi64(at, _mm512_set1_epi64(offsetof(Line, word)));
	at = _mm512_mask_add_epi64(at, in_other, at, _mm512_set1_epi64(8));
	_mm512_storeu_si512(word, _mm512_maskz_mov_epi64(found, at));
	return found;
}
#else
template <unsigned KeySize>
[[gnu::always_inline]] inline uint32_t eight_cells(const uintptr_t *home, const uintptr_t *second,
                                                   const uint8_t *keys, const uint64_t *round,
                                                   uintptr_t *word)
{
	uint32_t found = 0;
	for (uint32_t i = 0; i < lanes; i++) {
		uint64_t token[2];
		std::memcpy(token, keys + size_t{i} * 16, 16);
		if constexpr (KeySize == 16) {
			token[0] ^= round[0];
			token[1] ^= round[1];
		}
#ifdef __AVX2__
		const __m256i both =
			_mm256_set_epi64x(static_cast<long long>(token[1]), static_cast<long long>(token[0]),
		                      static_cast<long long>(token[1]), static_cast<long long>(token[0]));
		auto equal = [&](uintptr_t line) {
			return static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(
				_mm256_load_si256(reinterpret_cast<const __m256i *>(line)), both))));
		};
		const uint32_t words = equal(home[i]) | equal(second[i]) << 4,
					   cells = words & words >> 1 & 0x55;
#else
		auto equal = [&](uintptr_t line) {
			const Token *cell = reinterpret_cast<const Line *>(line)->token;
			auto is = [&](uint32_t at) {
				return static_cast<uint32_t>(
					((cell[at].low ^ token[0]) | (cell[at].high ^ token[1])) == 0);
			};
			return is(0) | is(1) << 2;
		};
		const uint32_t cells = equal(home[i]) | equal(second[i]) << 4;
#endif
		const uintptr_t line = cells & 0x50 ? second[i] : home[i];
		const uintptr_t at = line + offsetof(Line, word) + (cells & 0x44 ? 8 : 0);
		word[i] = cells ? at : 0;
		found |= static_cast<uint32_t>(cells != 0) << i;
	}
	return found;
}
#endif

// Keys for which the books of their home say that they may be elsewhere: in the second line too
// where only home was looked at.
[[gnu::always_inline]] inline uint32_t eight_elsewhere(const uintptr_t *home,
                                                       const uint64_t *digests, bool home_only)
{
	// Filter, keys away, keys spilled: one word.
	static_assert(offsetof(Line, filter) == 56 && offsetof(Line, nb_spilled) == 59);
#if defined(__AVX512DQ__) && defined(__AVX512VL__)
	const __m256i books =
		_mm512_mask_i64gather_epi32(_mm256_setzero_si256(), 0xff, _mm512_load_si512(home),
	                                reinterpret_cast<const void *>(56), 1);
	const __m256i bit = _mm512_maskz_cvtepi64_epi32(
		0xff, _mm512_and_si512(_mm512_srli_epi64(_mm512_loadu_si512(digests), 43),
	                           _mm512_set1_epi64(15)));
	const __mmask8 listed =
		_mm256_test_epi32_mask(_mm256_srlv_epi32(books, bit), _mm256_set1_epi32(1));
	return home_only ? listed
	                 : listed & _mm256_test_epi32_mask(
									books, _mm256_set1_epi32(static_cast<int>(0xff000000u)));
#else
	uint32_t elsewhere = 0;
	for (uint32_t i = 0; i < lanes; i++) {
		const Line *line = reinterpret_cast<const Line *>(home[i]);
		const uint32_t listed = line->filter >> digest_filter(digests[i]) & 1;
		elsewhere |= (listed & static_cast<uint32_t>(home_only | (line->nb_spilled != 0))) << i;
	}
	return elsewhere;
#endif
}

} // namespace REFRAMER_ISA

} // namespace reframer::conntrack
