// RobinMap: tsl::robin_map with stored hashes, as in the paper.
#include "conntrack/trackers/map_tracker.hpp"

#include <tsl/robin_map.h>

namespace reframer::conntrack {

namespace {

template <unsigned Size>
using RobinMap = tsl::robin_map<FlowKey<Size>, uint64_t, CrcHasher<Size>, std::equal_to<FlowKey<Size>>,
                           std::allocator<std::pair<FlowKey<Size>, uint64_t>>, true>;

template <unsigned Size> class Robin final : public MapTracker<Size, RobinMap<Size>, true> {
	using Base = MapTracker<Size, RobinMap<Size>, true>;

public:
	Robin(const TrackerOptions &options, bool bursts) : Base(bursts)
	{
		// The paper ran these tables to 100 % of a fixed size; 95 % is as far as this release
		// lets them go before they double.
		if (options.power_of_two)
			this->map_.max_load_factor(0.95f);
		this->map_.reserve(options.flows);
	}
	size_t bytes() const override
	{
		// Distance, stored hash, pair.
		size_t slot = (8 + sizeof(std::pair<FlowKey<Size>, uint64_t>) + 7) & ~size_t{7};
		return this->map_.bucket_count() * slot;
	}
};

} // namespace

std::unique_ptr<Tracker> make_robin(const TrackerOptions &options, bool bursts)
{
	if (options.key_size == 16)
		return std::make_unique<Robin<16>>(options, bursts);
	return std::make_unique<Robin<40>>(options, bursts);
}

} // namespace reframer::conntrack
