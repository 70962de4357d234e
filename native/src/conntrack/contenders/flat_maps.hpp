// Open-addressing maps of others that keep a byte of metadata a slot: absl's and Boost's.
#pragma once

#include "conntrack/contenders/map_tracker.hpp"

namespace reframer::conntrack {

template <unsigned Size, typename Map, bool Precomputes>
class FlatTracker final : public MapTracker<Size, Map, Precomputes> {
public:
	explicit FlatTracker(const TrackerOptions &options)
		: MapTracker<Size, Map, Precomputes>(options.depth)
	{
		this->map_.reserve(options.flows);
	}
	size_t bytes() const override
	{
		return this->map_.bucket_count() * (1 + sizeof(typename Map::value_type));
	}
};

template <template <unsigned> typename Map, bool Precomputes>
std::unique_ptr<Tracker> make_flat(const TrackerOptions &options)
{
	if (options.key_size == 16)
		return std::make_unique<FlatTracker<16, Map<16>, Precomputes>>(options);
	return std::make_unique<FlatTracker<40, Map<40>, Precomputes>>(options);
}

} // namespace reframer::conntrack
