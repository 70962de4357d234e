// What stands for std::atomic in a source whose interleavings are explored; in std so that it, which
// says std::atomic, finds it by a macro.
#pragma once

#include "explorer.hpp"

namespace std {

template <class T> class ExploredAtomic {
public:
	ExploredAtomic(T value = T()) : location(explorer().add_location(uint64_t(value))) {}
	ExploredAtomic(const ExploredAtomic &) = delete;
	ExploredAtomic &operator=(const ExploredAtomic &) = delete;

	T load(memory_order order = memory_order_seq_cst) const
	{
		return T(explorer().load(location, order));
	}
	void store(T value, memory_order order = memory_order_seq_cst)
	{
		explorer().store(location, uint64_t(value), order);
	}
	T fetch_add(T by, memory_order order = memory_order_seq_cst)
	{
		return T(explorer().modify(location, order, [by](uint64_t &v) {
			v = uint64_t(T(T(v) + by));
			return true;
		}));
	}
	bool compare_exchange_weak(T &expected, T desired, memory_order order = memory_order_seq_cst)
	{
		const T before = T(explorer().modify(location, order, [&](uint64_t &v) {
			const bool same = T(v) == expected;
			if (same)
				v = uint64_t(desired);
			return same;
		}));
		const bool same = before == expected;
		expected = before;
		return same;
	}

private:
	static reframer::test::Explorer &explorer() { return *reframer::test::Explorer::current; }
	unsigned location;
};

} // namespace std
