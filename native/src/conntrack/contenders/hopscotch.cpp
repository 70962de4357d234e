// HopScotch: tsl::hopscotch_map with the parameters of the paper: neighbourhood of 30, hashes stored.
#include "conntrack/contenders/map_tracker.hpp"

#include <tsl/hopscotch_map.h>

namespace reframer::conntrack {

namespace {

template <unsigned Size>
using HopscotchMap =
	tsl::hopscotch_map<KeyWords<Size>, uint64_t, CrcHasher<Size>, std::equal_to<KeyWords<Size>>,
                       std::allocator<std::pair<KeyWords<Size>, uint64_t>>, 30, true>;

} // namespace

std::unique_ptr<Tracker> make_hopscotch(const TrackerOptions &options)
{
	return make_tsl<HopscotchMap>(options);
}

} // namespace reframer::conntrack
