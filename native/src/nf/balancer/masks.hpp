// Masks of cookies, and hashes of keys: KeyedHash of as many inputs as a vector holds.
#pragma once

#include "nf/balancer/keyed_hash.hpp"

#include <cstdint>

namespace reframer::balance {

// Words of an input: by family, see Engine::mask(); of a key.
inline constexpr uint32_t words_v4 = 1, words_v6 = 3, words_key = 2;
// Inputs at once, which lie word by word: word w of input i at [w * mask_group + i].
inline constexpr uint32_t mask_group = 8;

// Writes the lower halves of the hashes, of keys the upper ones (Policy::by_hash()).
using Masks = void (*)(const KeyedHash &hash, const uint64_t *inputs, uint32_t *masks);
struct MaskKernels {
	Masks v4, v6, keys;
};

namespace isa_scalar {
extern const MaskKernels masks;
}
namespace isa_avx2 {
extern const MaskKernels masks;
}
namespace isa_avx512 {
extern const MaskKernels masks;
}

// Whether this CPU has what meson.build compiles them for.
inline bool runs_avx2()
{
	return __builtin_cpu_supports("avx2");
}
inline bool runs_avx512()
{
	return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vl");
}

// The fastest that this CPU runs.
inline const MaskKernels &best_masks()
{
	return runs_avx512() ? isa_avx512::masks : runs_avx2() ? isa_avx2::masks : isa_scalar::masks;
}

} // namespace reframer::balance
