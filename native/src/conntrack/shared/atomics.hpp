// How threads read and write a shared table's memory: acquire and release everywhere, no fences.
// On x86 these are plain loads and stores; ThreadSanitizer and the interleaving explorer see each.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <sched.h>
#include <type_traits>

namespace reframer::conntrack::shared {

// The explorer (native/test/conntrack) replaces this by a switch to another thread.
#ifdef REFRAMER_EXPLORE
void explore_point();
void explore_wait();
#else
inline void explore_point() {}
#endif

template <typename T> inline T get(const T &x)
{
	explore_point();
	return __atomic_load_n(&x, __ATOMIC_ACQUIRE);
}
template <typename T> inline void put(T &x, std::type_identity_t<T> value)
{
	explore_point();
	__atomic_store_n(&x, value, __ATOMIC_RELEASE);
}
template <typename T> inline bool compare_and_swap(T &x, T expected, std::type_identity_t<T> value)
{
	explore_point();
	return __atomic_compare_exchange_n(&x, &expected, value, false, __ATOMIC_ACQ_REL,
	                                   __ATOMIC_ACQUIRE);
}

// Table bytes in words of 8; `bytes` is a multiple of 8, both sides are aligned.
inline const uint64_t &word(const void *p, size_t at)
{
	return *reinterpret_cast<const uint64_t *>(static_cast<const uint8_t *>(p) + at);
}
inline void copy_out(void *to, const void *table, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += 8) {
		uint64_t w = get(word(table, at));
		std::memcpy(static_cast<uint8_t *>(to) + at, &w, 8);
	}
}
inline void copy_in(void *table, const void *from, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += 8) {
		uint64_t w;
		std::memcpy(&w, static_cast<const uint8_t *>(from) + at, 8);
		put(const_cast<uint64_t &>(word(table, at)), w);
	}
}

inline void pause_core()
{
#if defined(__x86_64__)
	_mm_pause();
#elif defined(__aarch64__)
	asm volatile("isb"); // `yield` does nothing on most cores
#endif
}

// Waits a little longer each time; a holder that was preempted gets the core soon.
class Patience {
public:
	void wait()
	{
#ifdef REFRAMER_EXPLORE
		explore_wait();
#else
		if (++tries_ < spins)
			pause_core();
		else
			sched_yield();
#endif
	}

private:
	// About 2 us of pauses: ten times as long as any change under a lock takes.
	static constexpr unsigned spins = 64;
	unsigned tries_ = 0;
};

} // namespace reframer::conntrack::shared
