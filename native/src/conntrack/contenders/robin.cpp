// RobinMap: tsl::robin_map with stored hashes, as in the paper.
#include "conntrack/contenders/map_tracker.hpp"

#include <tsl/robin_map.h>

namespace reframer::conntrack {

namespace {

template <unsigned Size>
using RobinMap =
	tsl::robin_map<KeyWords<Size>, uint64_t, CrcHasher<Size>, std::equal_to<KeyWords<Size>>,
                   std::allocator<std::pair<KeyWords<Size>, uint64_t>>, true>;

} // namespace

std::unique_ptr<Tracker> make_robin(const TrackerOptions &options)
{
	return make_tsl<RobinMap>(options);
}

} // namespace reframer::conntrack
