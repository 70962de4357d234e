// Nanoseconds from the TSC: what every poll reads, once.
#pragma once

#include <rte_cycles.h>

#include <cstdint>

namespace reframer::dpdk {

class TscClock {
public:
	TscClock()
		: origin(rte_rdtsc()), ns_per_cycle((uint64_t{1'000'000'000} << shift) / rte_get_tsc_hz())
	{
	}

	uint64_t now() const { return ns(rte_rdtsc() - origin); }
	uint64_t ns(uint64_t cycles) const
	{
		// 2^32 ns are 4 s: the product needs more than 64 bits.
		__extension__ using wide = unsigned __int128;
		return uint64_t(wide{cycles} * ns_per_cycle >> shift);
	}

private:
	static constexpr unsigned shift = 32;
	uint64_t origin, ns_per_cycle; // 2^-32 ns
};

} // namespace reframer::dpdk
