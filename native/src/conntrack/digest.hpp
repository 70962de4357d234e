// Keyed hash of a flow key. Secret round keys: who does not know them cannot build collisions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace reframer::conntrack {

struct HashKey {
	alignas(16) uint64_t round[5][2];
};

[[gnu::always_inline]] inline uint64_t fold_multiply(uint64_t a, uint64_t b)
{
	unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
	return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline HashKey expand_seed(uint64_t seed)
{
	HashKey key;
	for (auto &round : key.round)
		for (uint64_t &word : round) {
			// splitmix64 (Steele, Lea, Flood 2014)
			seed += 0x9e3779b97f4a7c15u;
			uint64_t z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
			z = (z ^ z >> 27) * 0x94d049bb133111ebu;
			word = z ^ z >> 31;
		}
	return key;
}

// Where a NIC hash places its flows: the low bits name the group (as they name the RETA entry), a
// keyed multiplication spreads the whole hash inside it.
[[gnu::always_inline]] inline uint32_t nic_position(const HashKey &k, uint32_t nic_hash,
                                                    unsigned group_bits)
{
	uint64_t group = nic_hash & ((uint64_t{1} << group_bits) - 1);
	uint64_t inside = fold_multiply(nic_hash ^ k.round[4][0], k.round[4][1] | 1) & 0xffffffffu;
	return static_cast<uint32_t>(group << (32 - group_bits) | inside >> group_bits);
}

// Compiled once for each instruction set, whose hashes need not be the same: under a name for each.
#ifndef REFRAMER_ISA
#define REFRAMER_ISA as_built
#endif
inline namespace REFRAMER_ISA {

#ifdef __AES__
// Two AES rounds spread every key byte over all sixteen; the third hides the difference patterns
// that two rounds leave. Longer keys run through parallel lanes, so that an attacker cannot cancel
// in one block what he changed in another.
template <unsigned KeySize> inline __m128i hash_block(const HashKey &k, const uint8_t *key)
{
	static_assert(KeySize == 16 || KeySize == 40);
	const auto *round = reinterpret_cast<const __m128i *>(k.round);
	auto load = [](const uint8_t *p) {
		return _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
	};
	__m128i x = _mm_aesenc_si128(_mm_xor_si128(load(key), round[0]), round[1]);
	x = _mm_aesenc_si128(x, round[2]);
	if constexpr (KeySize == 40) {
		__m128i y = _mm_aesenc_si128(_mm_xor_si128(load(key + 16), round[3]), round[2]);
		__m128i z = _mm_aesenc_si128(_mm_xor_si128(load(key + 24), round[4]), round[0]);
		y = _mm_aesenc_si128(y, round[1]);
		z = _mm_aesenc_si128(z, round[3]);
		x = _mm_aesenc_si128(_mm_xor_si128(_mm_xor_si128(x, y), z), round[4]);
	}
	return _mm_aesenc_si128(x, round[3]);
}
template <unsigned KeySize> inline uint64_t hash_key(const HashKey &k, const uint8_t *key)
{
	return static_cast<uint64_t>(_mm_cvtsi128_si64(hash_block<KeySize>(k, key)));
}
// All 128 bits; the lower 64 are hash_key().
template <unsigned KeySize>
inline void hash_wide(const HashKey &k, const uint8_t *key, uint64_t out[2])
{
	__m128i x = hash_block<KeySize>(k, key);
	std::memcpy(out, &x, sizeof(x));
}

// Hashes of `n` keys; four 16-byte keys at a time where the machine can.
template <unsigned KeySize>
inline void hash_keys(const HashKey &k, const uint8_t *keys, uint32_t n, uint64_t *out)
{
	uint32_t i = 0;
#if defined(__VAES__) && defined(__AVX512F__)
	// (The maskz forms: gcc 12 warns of its own header in the plain ones.)
	if constexpr (KeySize == 16) {
		__m512i round[4];
		for (unsigned r = 0; r < 4; r++)
			round[r] =
				_mm512_maskz_broadcast_i32x4(0xffff, reinterpret_cast<const __m128i *>(k.round)[r]);
		auto hash_four = [&](uint32_t first) {
			__m512i x = _mm512_xor_si512(_mm512_loadu_si512(keys + size_t{first} * 16), round[0]);
			x = _mm512_aesenc_epi128(x, round[1]);
			x = _mm512_aesenc_epi128(x, round[2]);
			return _mm512_aesenc_epi128(x, round[3]);
		};
		// Eight with one store: what reads them as one vector would have to wait for two.
		const __m512i of_both = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
		for (; i + 8 <= n; i += 8)
			_mm512_storeu_si512(out + i,
			                    _mm512_permutex2var_epi64(hash_four(i), of_both, hash_four(i + 4)));
		const __m512i low_halves = _mm512_set_epi64(0, 0, 0, 0, 6, 4, 2, 0);
		for (; i + 4 <= n; i += 4) {
			__m512i x = hash_four(i);
			x = _mm512_maskz_permutexvar_epi64(0xff, low_halves, x);
			std::memcpy(out + i, &x, 32);
		}
	}
#endif
	for (; i < n; i++)
		out[i] = hash_key<KeySize>(k, keys + size_t{i} * KeySize);
}
#else
// Without AES instructions: folded 128-bit products of secret-masked words, chained.
template <unsigned KeySize> inline uint64_t hash_key(const HashKey &k, const uint8_t *key)
{
	uint64_t h = k.round[4][0];
	for (unsigned i = 0; i < KeySize; i += 8) {
		uint64_t word;
		std::memcpy(&word, key + i, 8);
		h = fold_multiply(word ^ k.round[(i / 8) % 4][0], h ^ k.round[(i / 8) % 4][1]);
	}
	return fold_multiply(h ^ k.round[4][1], k.round[3][0] | 1);
}
// 128 bits; the lower 64 are hash_key(). The upper ones take the words the other way round.
template <unsigned KeySize>
inline void hash_wide(const HashKey &k, const uint8_t *key, uint64_t out[2])
{
	uint64_t h = k.round[4][1];
	for (unsigned i = KeySize; i > 0; i -= 8) {
		uint64_t word;
		std::memcpy(&word, key + i - 8, 8);
		h = fold_multiply(word ^ k.round[(i / 8) % 4][1], h ^ k.round[(i / 8) % 4][0]);
	}
	out[0] = hash_key<KeySize>(k, key);
	out[1] = fold_multiply(h ^ k.round[4][0], k.round[2][0] | 1);
}

template <unsigned KeySize>
inline void hash_keys(const HashKey &k, const uint8_t *keys, uint32_t n, uint64_t *out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = hash_key<KeySize>(k, keys + size_t{i} * KeySize);
}
#endif

} // namespace REFRAMER_ISA

} // namespace reframer::conntrack
