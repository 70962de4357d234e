// What telemetry can show: DPDK's telemetry is one a process and hands its commands no argument of
// ours, so the objects that exist have to be found from here. Not on the packet path.
#pragma once

#include "reframer/conntrack.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

namespace reframer::dpdk {

template <typename T> class Registry {
public:
	static void add(T *object)
	{
		const std::lock_guard lock(mutex());
		list().push_back(object);
	}
	static void remove(T *object)
	{
		const std::lock_guard lock(mutex());
		std::erase(list(), object);
	}
	// Objects stay while `work` looks at them.
	template <typename Work> static void each(Work work)
	{
		const std::lock_guard lock(mutex());
		for (T *object : list())
			work(*object);
	}

private:
	// Never destroyed: telemetry's thread outlives main().
	static std::mutex &mutex()
	{
		static auto *one = new std::mutex;
		return *one;
	}
	static std::vector<T *> &list()
	{
		static auto *one = new std::vector<T *>;
		return *one;
	}
};

// A flow table that telemetry shows, by a name of letters, digits, '_' and '-'.
struct ShownTable {
	std::string name;
	const conntrack_table *table;
};

} // namespace reframer::dpdk
