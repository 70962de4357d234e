// The keyed hash of a grouping key. Multiply-and-fold: without the seed nobody can choose flows
// that share a hash (a CRC would not do: its collisions are the same under every key).
#pragma once

#include <bit>
#include <cstdint>

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
	uint64_t h = fold_multiply(a ^ seed ^ hash_c0, b ^ (std::rotl(seed, 29) * hash_c1 + hash_c2));
	// One product leaves the low bits of its low half to the low bits of the inputs.
	h = fold_multiply(h ^ hash_c3, seed ^ hash_c1);
	return static_cast<uint32_t>(h ^ (h >> 32));
}

// What two words of an IPv4 key hold. Ports in memory order, so that no swap is needed per packet.
constexpr uint64_t hash_endpoint(uint32_t address, uint16_t port)
{
	return address | static_cast<uint64_t>(port) << 32;
}

constexpr uint64_t hash_tail(uint8_t protocol, uint8_t shape)
{
	return static_cast<uint64_t>(protocol) << 48 | static_cast<uint64_t>(shape) << 56;
}

} // namespace reframer::packet
