// Adapter for maps with the standard interface.
#pragma once

#include "conntrack/trackers/key_words.hpp"
#include "conntrack/trackers/tracker.hpp"

#include <algorithm>

namespace reframer::conntrack {

template <unsigned Size> struct CrcHasher {
	size_t operator()(const FlowKey<Size> &key) const { return crc_hash(key); }
};

// Map::find(key, hash) and the like exist in the tsl maps: a burst computes all hashes first,
// which is as far as their structure can be taken apart from outside.
template <unsigned Size, typename Map, bool Precomputes> class MapTracker : public Tracker {
protected:
	using Key = FlowKey<Size>;
	Map map_;

public:
	explicit MapTracker(bool bursts) : bursts_(bursts) {}
	uint32_t depth() const override { return 1; }
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
		if (!bursts_) {
			for (uint32_t i = 0; i < n; i++)
				step(i, key_of(i), crc_hash(key_of(i)));
			return;
		}
		size_t hashes[tracker_burst];
		for (uint32_t first = 0; first < n; first += tracker_burst) {
			uint32_t count = std::min(tracker_burst, n - first);
			for (uint32_t i = 0; i < count; i++)
				hashes[i] = crc_hash(key_of(first + i));
			for (uint32_t i = 0; i < count; i++)
				step(first + i, key_of(first + i), hashes[i]);
		}
	}

	bool bursts_;
};

} // namespace reframer::conntrack
