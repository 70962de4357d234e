// Locks that spin, as data planes use them. They yield when the holder seems to have lost its core.
#pragma once

#include "conntrack/shared/atomics.hpp"

#include <atomic>

namespace reframer::conntrack::shared {

class alignas(64) SpinLock {
public:
	void lock()
	{
		for (Patience patience; locked_.exchange(true, std::memory_order_acquire);)
			while (locked_.load(std::memory_order_relaxed))
				patience.wait();
	}
	void unlock() { locked_.store(false, std::memory_order_release); }
	void lock_shared() { lock(); }
	void unlock_shared() { unlock(); }

private:
	std::atomic<bool> locked_ = false;
};

// One word for readers and writers, like rte_rwlock. A waiting writer keeps new readers out.
class alignas(64) SpinRwLock {
public:
	void lock()
	{
		for (Patience patience;; patience.wait()) {
			uint32_t v = word_.load(std::memory_order_relaxed);
			if ((v & ~waiting) == 0) {
				if (word_.compare_exchange_weak(v, writing, std::memory_order_acquire))
					return;
			} else if (!(v & waiting)) {
				word_.fetch_or(waiting, std::memory_order_relaxed);
			}
		}
	}
	void unlock() { word_.fetch_and(~writing, std::memory_order_release); }
	void lock_shared()
	{
		for (Patience patience;; patience.wait()) {
			uint32_t v = word_.load(std::memory_order_relaxed);
			if (!(v & (writing | waiting)) &&
			    word_.compare_exchange_weak(v, v + reader, std::memory_order_acquire))
				return;
		}
	}
	void unlock_shared() { word_.fetch_sub(reader, std::memory_order_release); }

private:
	static constexpr uint32_t waiting = 1, writing = 2, reader = 4;
	std::atomic<uint32_t> word_ = 0;
};

} // namespace reframer::conntrack::shared
