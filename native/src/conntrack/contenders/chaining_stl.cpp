// std::unordered_map, sized up front: nodes from malloc, a prime number of buckets.
#include "conntrack/contenders/map_tracker.hpp"

#include <unordered_map>

namespace reframer::conntrack {

namespace {

template <unsigned Size>
using StlMap = std::unordered_map<KeyWords<Size>, uint64_t, CrcHasher<Size>>;

template <unsigned Size> class ChainingStl final : public MapTracker<Size, StlMap<Size>, false> {
	using Base = MapTracker<Size, StlMap<Size>, false>;

public:
	explicit ChainingStl(const TrackerOptions &options) : Base(1)
	{
		this->map_.reserve(options.flows);
	}
	size_t bytes() const override
	{
		// A node: next, key and value, cached hash; and malloc's own word, rounded to 16.
		size_t node = (8 + sizeof(typename StlMap<Size>::value_type) + 8 + 8 + 15) & ~size_t{15};
		return this->map_.bucket_count() * sizeof(void *) + this->map_.size() * node;
	}
};

} // namespace

std::unique_ptr<Tracker> make_chaining_stl(const TrackerOptions &options)
{
	if (options.key_size == 16)
		return std::make_unique<ChainingStl<16>>(options);
	return std::make_unique<ChainingStl<40>>(options);
}

} // namespace reframer::conntrack
