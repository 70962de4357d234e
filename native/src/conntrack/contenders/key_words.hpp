// A table's keys as words, whatever they hold, and the unseeded CRC hash that the paper's tables
// use.
#pragma once

#include <cstdint>
#include <cstring>
#include <nmmintrin.h>

namespace reframer::conntrack {

template <unsigned Size> struct KeyWords {
	uint64_t word[Size / 8];

	static KeyWords load(const uint8_t *bytes)
	{
		KeyWords key;
		std::memcpy(key.word, bytes, Size);
		return key;
	}
	bool operator==(const KeyWords &other) const
	{
		uint64_t differ = 0;
		for (unsigned i = 0; i < Size / 8; i++)
			differ |= word[i] ^ other.word[i];
		return differ == 0;
	}
};

template <unsigned Size> inline uint32_t crc_hash(const KeyWords<Size> &key, uint32_t seed = 0)
{
	uint64_t crc = seed;
	for (uint64_t word : key.word)
		crc = _mm_crc32_u64(crc, word);
	return static_cast<uint32_t>(crc);
}

// Seed of Cuckoo++'s second hash, as in its authors' code.
constexpr uint32_t reverse_seed = 0x5bd1e995;

// Chained the other way round: independent enough of crc_hash() to be a second hash (Cuckoo++).
template <unsigned Size> inline uint32_t crc_hash_reverse(const KeyWords<Size> &key, uint32_t seed)
{
	uint64_t crc = seed;
	for (unsigned i = Size / 8; i-- > 0;)
		crc = _mm_crc32_u64(crc, key.word[i]);
	return static_cast<uint32_t>(crc);
}

} // namespace reframer::conntrack
