// Concurrent tables of others: what they have in common behind the trackers' interface.
#pragma once

#include "conntrack/contenders/key_words.hpp"
#include "conntrack/shared/shared_tracker.hpp"

namespace reframer::conntrack {

// `Map`: find(key, value), store(key, value) -> whether new, erase(key), size(), bytes(); all of
// them for any number of threads, one key a call, linearizable. None of these tables takes bursts.
template <unsigned Size, typename Map> class ConcurrentPeer final : public SharedTracker {
	using Key = KeyWords<Size>;

public:
	explicit ConcurrentPeer(uint64_t flows) : map_(flows) {}
	uint32_t depth() const override { return 1; }
	bool needs_owner() const override { return false; }
	uint32_t find(unsigned, const uint8_t *keys, uint32_t n, uint64_t, uint64_t *values,
	              uint8_t *found) override
	{
		uint32_t total = 0;
		for (uint32_t i = 0; i < n; i++) {
			found[i] = map_.find(Key::load(keys + size_t{i} * Size), values[i]);
			total += found[i];
		}
		return total;
	}
	uint32_t track(unsigned, const uint8_t *keys, uint32_t n, uint64_t, uint64_t stamp,
	               uint8_t *results) override
	{
		uint32_t inserted = 0;
		for (uint32_t i = 0; i < n; i++) {
			results[i] = map_.store(Key::load(keys + size_t{i} * Size), stamp);
			inserted += results[i];
		}
		return inserted;
	}
	uint32_t remove(unsigned, const uint8_t *keys, uint32_t n, uint64_t) override
	{
		uint32_t removed = 0;
		for (uint32_t i = 0; i < n; i++)
			removed += map_.erase(Key::load(keys + size_t{i} * Size));
		return removed;
	}
	uint32_t expire(unsigned, uint64_t) override { return 0; }
	uint64_t residents() const override { return map_.size(); }
	size_t bytes() const override { return map_.bytes(); }

private:
	Map map_;
};

template <template <unsigned> typename Map>
std::unique_ptr<SharedTracker> make_peer(const SharedOptions &options)
{
	uint64_t flows = options.timed.tracker.flows;
	if (options.timed.tracker.key_size == 16)
		return std::make_unique<ConcurrentPeer<16, Map<16>>>(flows);
	return std::make_unique<ConcurrentPeer<40, Map<40>>>(flows);
}

} // namespace reframer::conntrack
