#pragma once

#include <atomic>
#include <cstdint>

namespace reframer::dpdk {

// A counter with one writer: read by others, without the cost of a locked increment.
inline void add(std::atomic<uint64_t> &counter, uint64_t n)
{
	counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

// The same for a field of a plain struct.
template <typename T> void write_shared(T &field, T value)
{
	std::atomic_ref(field).store(value, std::memory_order_relaxed);
}
template <typename T> T read_shared(const T &field)
{
	return std::atomic_ref(const_cast<T &>(field)).load(std::memory_order_relaxed);
}

} // namespace reframer::dpdk
