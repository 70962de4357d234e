// boost::unordered_flat_map, which mixes the CRC further by itself.
#include "conntrack/contenders/flat_maps.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

namespace reframer::conntrack {

namespace {

template <unsigned Size>
using BoostMap = boost::unordered_flat_map<KeyWords<Size>, uint64_t, CrcHasher<Size>>;

} // namespace

std::unique_ptr<Tracker> make_boost_flat(const TrackerOptions &options)
{
	return make_flat<BoostMap, false>(options);
}

} // namespace reframer::conntrack
