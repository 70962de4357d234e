// Groups of one block that are due, some at a time: most of what a poll does.
#pragma once

#include "reframer/blocks/lanes.hpp"
#include "reframer/output.hpp"

#include <bit>
#include <cstring>

namespace reframer::stage {

namespace REFRAMER_ISA {

// Bytes and hold times of what was given out.
class Account {
public:
	Account(uint64_t now, uint64_t last, Histograms &into)
		: last_hash(last), now_(now), histograms_(into)
	{
	}

	// For the words of packets, `most` of them and a block more.
	static constexpr uint32_t most = 16 * block_packets;
	uint64_t *room() { return meta_ + nb_; }
	void take(uint32_t count)
	{
		nb_ += count;
		if (nb_ > most)
			close();
	}
	void close()
	{
		add_up(meta_, nb_, now_, histograms_, bytes, longest_hold);
		nb_ = 0;
	}

	// A run behind those so far.
	void see(uint32_t hash)
	{
		changes += hash != last_hash;
		last_hash = hash;
	}

	uint64_t bytes = 0, longest_hold = 0;
	uint32_t changes = 0;
	uint64_t last_hash;

private:
	uint64_t now_;
	Histograms &histograms_;
	uint32_t nb_ = 0;
	alignas(64) uint64_t meta_[2 * most + 2 * block_packets];
};

[[gnu::always_inline]] inline void store_run(reframer_run &run, uint32_t first, uint32_t count,
                                             uint32_t hash, uint32_t reason)
{
	const uint64_t words[2] = {first | uint64_t{count} << 32, hash | uint64_t{reason} << 32};
	static_assert(sizeof run == sizeof words);
	std::memcpy(&run, words, sizeof words);
}

struct Taken {
	uint32_t blocks = 0, groups = 0;
};

// From `rel` on, as far as heads are due, of one block, and surely fit. Blocks that are gone or behind
// another one are passed over.
#if defined(__AVX512VL__) && defined(__AVX512BW__) && defined(__AVX512DQ__)

// Sums of all lanes before each.
[[gnu::always_inline]] inline __m512i sums_before(__m512i x)
{
	const __m512i zero = _mm512_setzero_si512();
	x = _mm512_alignr_epi32(x, zero, 15);
	x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 15));
	x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 14));
	x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 12));
	return _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 8));
}

[[gnu::always_inline]] inline Taken take_heads(const Blocks &blocks, uint32_t rel, uint64_t limit,
                                               uint32_t reason, Output &out, Account &account)
{
	const uint32_t slot = rel & blocks.mask, to_end = blocks.mask + 1 - slot;
	uint32_t nb = blocks.nb - rel;
	nb = nb < 16 ? nb : 16;
	nb = nb < to_end ? nb : to_end;
	nb = nb < out.run_room - out.nb_runs ? nb : out.run_room - out.nb_runs;
	const auto present = static_cast<__mmask16>((1u << nb) - 1);
	const __m512i content = _mm512_maskz_loadu_epi32(present, blocks.contents + slot);
	const __m512i latest = _mm512_set1_epi64(static_cast<int64_t>(limit));
	const uint32_t late =
		_mm512_cmpgt_epu64_mask(
			_mm512_maskz_loadu_epi64(static_cast<__mmask8>(present), blocks.deadlines + slot),
			latest) |
		static_cast<uint32_t>(
			_mm512_cmpgt_epu64_mask(_mm512_maskz_loadu_epi64(static_cast<__mmask8>(present >> 8),
	                                                         blocks.deadlines + slot + 8),
	                                latest))
			<< 8;
	const __mmask16 behind =
		_mm512_test_epi32_mask(content, _mm512_set1_epi32(static_cast<int>(is_behind)));
	const uint32_t is_long = _mm512_movepi32_mask(content) & ~behind;
	const uint32_t room = out.room - out.nb_packets;
	if (room < block_packets)
		return {};
	const __mmask16 heads =
		_mm512_mask_test_epi32_mask(static_cast<__mmask16>(~(behind | is_long)), content, content);
	const __m512i packets_of = _mm512_maskz_mov_epi32(heads, content);
	const __m512i packets_before = sums_before(packets_of);
	const __mmask16 fits = _mm512_cmple_epu32_mask(
		packets_before, _mm512_set1_epi32(static_cast<int>(room - block_packets)));
	const auto taken =
		static_cast<uint32_t>(std::countr_zero((late | is_long | 1u << nb | ~uint32_t{fits})));
	if (taken == 0)
		return {};
	const auto groups = static_cast<__mmask16>(heads & ((1u << taken) - 1));
	const auto nb_groups = static_cast<uint32_t>(std::popcount(static_cast<uint32_t>(groups)));
	const auto total = static_cast<uint32_t>(_mm512_mask_reduce_add_epi32(groups, packets_of));
	const __m512i count = _mm512_maskz_compress_epi32(groups, packets_of);
	const __m512i before = _mm512_maskz_compress_epi32(groups, packets_before);
	alignas(64) uint32_t at[16];
	_mm512_store_si512(at, before);
	void **const packets = out.packets + out.nb_packets;
	uint64_t *const meta = account.room();
	const Block *const from = blocks.blocks + slot;
	if (nb_groups == taken) {
		for (uint32_t i = 0; i < taken; i++)
			copy_block(from[i], block_packets, packets + at[i], meta + at[i]);
	} else {
		uint32_t left = groups;
		for (uint32_t i = 0; left; i++, left &= left - 1)
			copy_block(from[std::countr_zero(left)], block_packets, packets + at[i], meta + at[i]);
	}
	// Four runs a vector: element 4k + j is that of run 4j + k, as unpacking stays within 128 bits.
	const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
	const __m512i hash = _mm512_maskz_compress_epi32(
		groups, _mm512_maskz_loadu_epi32(present, blocks.hashes + slot));
	const __m512i firsts = _mm512_permutexvar_epi32(
		order, _mm512_add_epi32(before, _mm512_set1_epi32(static_cast<int>(out.nb_packets))));
	const __m512i counts = _mm512_permutexvar_epi32(order, count);
	const auto behind_first = static_cast<__mmask16>(((1u << nb_groups) - 1) & ~1u);
	account.changes += static_cast<uint32_t>(std::popcount(static_cast<uint32_t>(
		_mm512_mask_cmpneq_epi32_mask(behind_first, hash, _mm512_alignr_epi32(hash, hash, 15)))));
	if (nb_groups > 0) {
		account.see(static_cast<uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(hash))));
		account.last_hash = static_cast<uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(
			_mm512_maskz_compress_epi32(static_cast<__mmask16>(1u << (nb_groups - 1)), hash))));
	}
	const __m512i hashes = _mm512_permutexvar_epi32(order, hash);
	const __m512i reasons = _mm512_set1_epi32(static_cast<int>(reason));
	const __m512i low = _mm512_unpacklo_epi32(firsts, counts);
	const __m512i low2 = _mm512_unpacklo_epi32(hashes, reasons);
	const __m512i high = _mm512_unpackhi_epi32(firsts, counts);
	const __m512i high2 = _mm512_unpackhi_epi32(hashes, reasons);
	const uint64_t words = nb_groups == 16 ? ~uint64_t{0} : (uint64_t{1} << 4 * nb_groups) - 1;
	auto *const run = reinterpret_cast<uint32_t *>(out.runs + out.nb_runs);
	_mm512_mask_storeu_epi32(run, static_cast<__mmask16>(words), _mm512_unpacklo_epi64(low, low2));
	_mm512_mask_storeu_epi32(run + 16, static_cast<__mmask16>(words >> 16),
	                         _mm512_unpackhi_epi64(low, low2));
	_mm512_mask_storeu_epi32(run + 32, static_cast<__mmask16>(words >> 32),
	                         _mm512_unpacklo_epi64(high, high2));
	_mm512_mask_storeu_epi32(run + 48, static_cast<__mmask16>(words >> 48),
	                         _mm512_unpackhi_epi64(high, high2));
	account.take(total);
	out.nb_packets += total;
	out.nb_runs += nb_groups;
	return {taken, nb_groups};
}

#else

[[gnu::always_inline]] inline Taken take_heads(const Blocks &blocks, uint32_t rel, uint64_t limit,
                                               uint32_t reason, Output &out, Account &account)
{
	const Block *const from = blocks.blocks;
	const uint64_t *const deadlines = blocks.deadlines;
	const uint32_t *const contents = blocks.contents, *const hashes = blocks.hashes;
	const uint32_t nb = blocks.nb, mask = blocks.mask, run_room = out.run_room - out.nb_runs;
	uint32_t room = out.room - out.nb_packets;
	room = room < Account::most + block_packets ? room : Account::most + block_packets;
	void **const packets = out.packets + out.nb_packets;
	uint64_t *const meta = account.room();
	reframer_run *const runs = out.runs + out.nb_runs;
	uint64_t last_hash = account.last_hash;
	uint32_t o = 0, r = 0, changes = 0, at = rel;
	for (; at != nb && r < run_room && o + block_packets <= room; at++) {
		const uint32_t slot = at & mask, content = contents[slot], hash = hashes[slot];
		if (deadlines[slot] > limit || (content & (has_next | is_behind)) == has_next)
			break;
		const uint32_t count = content & is_behind ? 0 : content;
		copy_block(from[slot], count, packets + o, meta + o);
		store_run(runs[r], out.nb_packets + o, count, hash, reason);
		const bool any = count != 0;
		changes += any & (hash != last_hash);
		last_hash = any ? hash : last_hash;
		r += any;
		o += count;
	}
	account.last_hash = last_hash;
	account.changes += changes;
	account.take(o);
	out.nb_packets += o;
	out.nb_runs += r;
	return {at - rel, r};
}

#endif

} // namespace REFRAMER_ISA

} // namespace reframer::stage
