// HopScotch: tsl::hopscotch_map with the parameters of the paper: neighbourhood of 30, hashes stored.
#include "conntrack/trackers/map_tracker.hpp"

#include <tsl/hopscotch_map.h>

namespace reframer::conntrack {

namespace {

template <unsigned Size>
using HopscotchMap = tsl::hopscotch_map<FlowKey<Size>, uint64_t, CrcHasher<Size>, std::equal_to<FlowKey<Size>>,
                               std::allocator<std::pair<FlowKey<Size>, uint64_t>>, 30, true>;

template <unsigned Size> class Hopscotch final : public MapTracker<Size, HopscotchMap<Size>, true> {
	using Base = MapTracker<Size, HopscotchMap<Size>, true>;

public:
	Hopscotch(const TrackerOptions &options, bool bursts) : Base(bursts)
	{
		// The paper ran these tables to 100 % of a fixed size; 95 % is as far as this release
		// lets them go before they double.
		if (options.power_of_two)
			this->map_.max_load_factor(0.95f);
		this->map_.reserve(options.flows);
	}
	size_t bytes() const override
	{
		// Bitmap, stored hash, pair.
		size_t slot = (8 + sizeof(std::pair<FlowKey<Size>, uint64_t>) + 7) & ~size_t{7};
		return this->map_.bucket_count() * slot;
	}
};

} // namespace

std::unique_ptr<Tracker> make_hopscotch(const TrackerOptions &options, bool bursts)
{
	if (options.key_size == 16)
		return std::make_unique<Hopscotch<16>>(options, bursts);
	return std::make_unique<Hopscotch<40>>(options, bursts);
}

} // namespace reframer::conntrack
