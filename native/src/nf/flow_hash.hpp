// Hash of a flow key for the tables of one chain. Keyed, so that nobody can choose colliding flows.
#pragma once

#include "nf/context.hpp"

namespace reframer::nf {

inline uint64_t hash_key(const Ipv4Tuple &key, uint64_t seed)
{
	uint64_t w[2];
	std::memcpy(w, &key, sizeof(w));
	auto product = static_cast<unsigned __int128>(w[0] ^ seed) * (w[1] ^ 0x9e3779b97f4a7c15);
	uint64_t h = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
	product = static_cast<unsigned __int128>(h ^ 0xbb67ae8584caa73b) * 0xa54ff53a5f1d36f1;
	return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

} // namespace reframer::nf
