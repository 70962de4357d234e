// The keyed hash of a grouping key. Multiply-and-fold: without the seed nobody can choose flows
// that share a hash (a CRC would not do: its collisions are the same under every key).
#pragma once

#include "packet/bytes.hpp"

#include <bit>
#include <cstdint>
#include <utility>

namespace reframer::packet {

// Odd constants with about half of their bits set, from the fraction of the golden ratio and of
// square roots of small primes; nothing depends on which ones they are.
inline constexpr uint64_t hash_c0 = 0x9e3779b97f4a7c15;
inline constexpr uint64_t hash_c1 = 0xbb67ae8584caa73b;
inline constexpr uint64_t hash_c2 = 0x3c6ef372fe94f82b;
inline constexpr uint64_t hash_c3 = 0xa54ff53a5f1d36f1;

inline uint64_t fold_multiply(uint64_t a, uint64_t b)
{
	const auto product = static_cast<unsigned __int128>(a) * b;
	return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint32_t hash_words(uint64_t a, uint64_t b, uint64_t seed)
{
	// In brackets what is constant in a loop.
	uint64_t h = fold_multiply(a ^ (seed ^ hash_c0), b ^ (std::rotl(seed, 29) * hash_c1 + hash_c2));
	// One product leaves the low bits of its low half to the low bits of the inputs.
	h = fold_multiply(h ^ hash_c3, (seed ^ hash_c1));
	return static_cast<uint32_t>(h ^ (h >> 32));
}

// The second word of a key: ports in memory order, source first, so that a packet's are one load.
constexpr uint64_t hash_tail(uint32_t ports, uint8_t protocol, uint8_t shape)
{
	return ports | static_cast<uint64_t>(protocol) << 32 | static_cast<uint64_t>(shape) << 40;
}

// The same two words of an IPv6 key: each address folded under constants of its own.
inline std::pair<uint64_t, uint64_t> hash_words_v6(const uint8_t *source,
                                                   const uint8_t *destination, uint64_t tail,
                                                   uint64_t seed)
{
	const uint64_t a = fold_multiply(load<uint64_t>(source) ^ seed ^ hash_c2,
	                                 load<uint64_t>(source + 8) ^ std::rotl(seed, 17) ^ hash_c1);
	const uint64_t b =
		fold_multiply(load<uint64_t>(destination) ^ seed ^ hash_c3,
	                  load<uint64_t>(destination + 8) ^ std::rotl(seed, 43) ^ hash_c0);
	return {a, b ^ tail};
}

// An order of the two ends of a flow; which one is of no account.
constexpr uint64_t hash_endpoint(uint32_t address, uint16_t port)
{
	return static_cast<uint64_t>(address) << 16 | port;
}

} // namespace reframer::packet
