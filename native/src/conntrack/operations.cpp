// Which instruction set's code a table runs.
#include "conntrack/kernels.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace reframer::conntrack {

#if defined(__x86_64__)

namespace {

// Not by __builtin_cpu_supports(): Clang 14, which fuzzes, has no name for it. That AVX-512 may be used
// says that AVX may.
bool has_vaes()
{
	unsigned a, b, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & bit_VAES);
}

} // namespace

bool has_isa(Isa isa)
{
	__builtin_cpu_init();
	const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
	                  __builtin_cpu_supports("aes");
	switch (isa) {
	case Isa::scalar:
		return true;
	case Isa::avx2:
		return avx2;
	case Isa::avx512:
		return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
		       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
		       has_vaes();
	}
	return false;
}

#else

bool has_isa(Isa isa)
{
	return isa == Isa::scalar;
}

#endif

Isa best_isa()
{
	return has_isa(Isa::avx512) ? Isa::avx512 : has_isa(Isa::avx2) ? Isa::avx2 : Isa::scalar;
}

const Operations *find_operations(Isa isa, uint32_t key_size)
{
#if defined(__x86_64__)
	if (isa == Isa::avx512)
		return isa_avx512::operations(key_size);
	if (isa == Isa::avx2)
		return isa_avx2::operations(key_size);
#endif
	static_cast<void>(isa);
	return isa_scalar::operations(key_size);
}

} // namespace reframer::conntrack
