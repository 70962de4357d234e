// absl::flat_hash_map with its own hash. Bursts use its prefetch().
#include "conntrack/contenders/flat_maps.hpp"

#include <absl/container/flat_hash_map.h>

namespace reframer::conntrack {

template <typename State, unsigned Size> State AbslHashValue(State state, const KeyWords<Size> &key)
{
	return State::combine_contiguous(std::move(state), key.word, Size / 8);
}

namespace {

template <unsigned Size> using AbslMap = absl::flat_hash_map<KeyWords<Size>, uint64_t>;

} // namespace

std::unique_ptr<Tracker> make_absl_flat(const TrackerOptions &options)
{
	return make_flat<AbslMap, true>(options);
}

} // namespace reframer::conntrack
