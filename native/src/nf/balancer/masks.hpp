// Masks of cookies for a burst at once: KeyedHash of each input, as many together as a vector holds.
#pragma once

#include "nf/balancer/keyed_hash.hpp"

#include <cstdint>

namespace reframer::balance {

// Writes the lower halves of the hashes; rounds `n` up to a multiple of eight, for which both arrays
// must have room.
using Masks = void (*)(const KeyedHash &hash, const uint64_t *inputs, uint32_t n, uint32_t *masks);

namespace isa_scalar {
void masks(const KeyedHash &hash, const uint64_t *inputs, uint32_t n, uint32_t *masks);
}
namespace isa_avx2 {
void masks(const KeyedHash &hash, const uint64_t *inputs, uint32_t n, uint32_t *masks);
}
namespace isa_avx512 {
void masks(const KeyedHash &hash, const uint64_t *inputs, uint32_t n, uint32_t *masks);
}

// The fastest that this CPU runs.
inline Masks best_masks()
{
	if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
		return isa_avx512::masks;
	return __builtin_cpu_supports("avx2") ? isa_avx2::masks : isa_scalar::masks;
}

} // namespace reframer::balance
