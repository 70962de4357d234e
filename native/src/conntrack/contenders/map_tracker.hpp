// Adapters for maps with the standard interface.
#pragma once

#include "conntrack/contenders/key_words.hpp"
#include "conntrack/contenders/tracker.hpp"

#include <algorithm>

namespace reframer::conntrack {

template <unsigned Size> struct CrcHasher {
	size_t operator()(const KeyWords<Size> &key) const { return crc_hash(key); }
};

// Map::find(key, hash) exists in the tsl maps and in absl's: a burst computes all hashes first, and
// prefetches where the map offers that. Further they cannot be taken apart from outside.
template <unsigned Size, typename Map, bool Precomputes> class MapTracker : public Tracker {
protected:
	using Key = KeyWords<Size>;
	Map map_;

public:
	static constexpr bool prefetches = requires(Map map, Key key) { map.prefetch(key); };

	explicit MapTracker(uint32_t depth) : depth_(depth) {}
	uint32_t depth() const override { return prefetches ? depth_ : 1; }
	uint64_t flows() const override { return map_.size(); }

	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t *values, uint8_t *found) override
	{
		uint32_t total = 0;
		each(keys, n, [&](uint32_t i, const Key &key, size_t hash) {
			auto it = lookup(key, hash);
			found[i] = it != map_.end();
			if (found[i]) {
				values[i] = it->second;
				total++;
			}
		});
		return total;
	}

	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t stamp, uint8_t *results) override
	{
		uint32_t inserted = 0;
		each(keys, n, [&](uint32_t i, const Key &key, size_t) {
			// These maps find or insert in one call, but then hash again.
			results[i] = map_.insert_or_assign(key, stamp).second;
			inserted += results[i];
		});
		return inserted;
	}

	uint32_t remove(const uint8_t *keys, uint32_t n) override
	{
		uint32_t removed = 0;
		each(keys, n, [&](uint32_t, const Key &key, size_t) { removed += map_.erase(key) != 0; });
		return removed;
	}

private:
	auto lookup(const Key &key, [[maybe_unused]] size_t hash)
	{
		if constexpr (Precomputes)
			return map_.find(key, hash);
		else
			return map_.find(key);
	}

	template <typename Step> void each(const uint8_t *keys, uint32_t n, Step step)
	{
		auto key_of = [&](uint32_t i) { return Key::load(keys + size_t{i} * Size); };
		if (depth_ == 1) {
			for (uint32_t i = 0; i < n; i++)
				step(i, key_of(i), map_.hash_function()(key_of(i)));
			return;
		}
		size_t hashes[tracker_max_depth];
		for (uint32_t first = 0; first < n; first += depth_) {
			uint32_t count = std::min(depth_, n - first);
			for (uint32_t i = 0; i < count; i++) {
				hashes[i] = map_.hash_function()(key_of(first + i));
				if constexpr (prefetches)
					map_.prefetch(key_of(first + i));
			}
			for (uint32_t i = 0; i < count; i++)
				step(first + i, key_of(first + i), hashes[i]);
		}
	}

	uint32_t depth_;
};

// The tsl maps: slots of 8 bytes of bookkeeping (bitmap or distance, and the stored hash) and a pair.
template <unsigned Size, typename Map> class TslTracker final : public MapTracker<Size, Map, true> {
public:
	explicit TslTracker(const TrackerOptions &options) : MapTracker<Size, Map, true>(options.depth)
	{
		// The paper ran these tables to 100 % of a fixed size; 95 % is as far as these releases
		// let them go before they double.
		if (options.power_of_two)
			this->map_.max_load_factor(0.95f);
		this->map_.reserve(options.flows);
	}
	size_t bytes() const override
	{
		size_t slot = (8 + sizeof(std::pair<KeyWords<Size>, uint64_t>) + 7) & ~size_t{7};
		return this->map_.bucket_count() * slot;
	}
};

template <template <unsigned> typename Map>
std::unique_ptr<Tracker> make_tsl(const TrackerOptions &options)
{
	if (options.key_size == 16)
		return std::make_unique<TslTracker<16, Map<16>>>(options);
	return std::make_unique<TslTracker<40, Map<40>>>(options);
}

} // namespace reframer::conntrack
