#pragma once

#include <atomic>
#include <cstdint>

namespace reframer::dpdk {

// A counter with one writer: read by others, without the cost of a locked increment.
inline void add(std::atomic<uint64_t> &counter, uint64_t n)
{
	counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

} // namespace reframer::dpdk
