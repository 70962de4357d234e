// Keyed hash of a flow key. Secret round keys: who does not know them cannot build collisions.
#pragma once

#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace reframer::conntrack {

struct HashKey {
	alignas(16) uint64_t round[5][2];
};

inline uint64_t fold_multiply(uint64_t a, uint64_t b)
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

#ifdef __AES__
// Two AES rounds spread every key byte over all sixteen; the third hides the difference patterns
// that two rounds leave. Longer keys run through parallel lanes, so that an attacker cannot cancel
// in one block what he changed in another.
template <unsigned KeySize> inline uint64_t hash_key(const HashKey &k, const uint8_t *key)
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
	x = _mm_aesenc_si128(x, round[3]);
	return static_cast<uint64_t>(_mm_cvtsi128_si64(x));
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
#endif

// Where a NIC hash places its flows: the low bits name the group (as they name the RETA entry), a
// keyed multiplication spreads the whole hash inside it.
inline uint32_t nic_position(const HashKey &k, uint32_t nic_hash, unsigned group_bits)
{
	uint64_t group = nic_hash & ((uint64_t{1} << group_bits) - 1);
	uint64_t inside = fold_multiply(nic_hash ^ k.round[4][0], k.round[4][1] | 1) & 0xffffffffu;
	return static_cast<uint32_t>(group << (32 - group_bits) | inside >> group_bits);
}

} // namespace reframer::conntrack
