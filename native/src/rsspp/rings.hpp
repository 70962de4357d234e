// Bounded queues between cores: memory taken once, no lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace reframer::rsspp {

inline constexpr size_t cache_line = 64;

// Many producers, one consumer. Each cell carries a sequence number that says whose turn it is
// (D. Vyukov's bounded queue), so a producer that was interrupted delays those behind it but blocks
// nobody from trying.
template <class T> class ForwardRing {
public:
	explicit ForwardRing(uint32_t capacity) : mask(capacity - 1), cells(capacity)
	{
		for (uint32_t i = 0; i < capacity; i++)
			cells[i].turn.store(i, std::memory_order_relaxed);
	}

	bool push(const T &value)
	{
		uint32_t at = tail.load(std::memory_order_relaxed);
		for (;;) {
			Cell &cell = cells[at & mask];
			const int32_t ahead = int32_t(cell.turn.load(std::memory_order_acquire) - at);
			if (ahead < 0)
				return false;
			if (ahead == 0 && tail.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) {
				cell.value = value;
				cell.turn.store(at + 1, std::memory_order_release);
				return true;
			}
			if (ahead > 0)
				at = tail.load(std::memory_order_relaxed);
		}
	}

	// The consumer's: the next one, still in the ring until drop().
	bool peek(T &value) const
	{
		const Cell &cell = cells[head & mask];
		if (cell.turn.load(std::memory_order_acquire) != head + 1)
			return false;
		value = cell.value;
		return true;
	}
	void drop()
	{
		cells[head & mask].turn.store(head + mask + 1, std::memory_order_release);
		head++;
	}
	bool pop(T &value)
	{
		if (!peek(value))
			return false;
		drop();
		return true;
	}

private:
	struct Cell {
		std::atomic<uint32_t> turn;
		T value;
	};
	const uint32_t mask;
	std::vector<Cell> cells;
	alignas(cache_line) std::atomic<uint32_t> tail{0};
	alignas(cache_line) uint32_t head = 0; // the consumer's own
};

} // namespace reframer::rsspp
