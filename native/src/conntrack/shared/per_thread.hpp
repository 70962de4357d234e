// A tracker for each thread, each with its own flows.
#pragma once

#include "conntrack/shared/shared_tracker.hpp"

namespace reframer::conntrack {

class PerThread final : public SharedTracker {
public:
	// `below`: a table that all of them use, or NULL.
	explicit PerThread(std::vector<std::unique_ptr<TimedTracker>> trackers,
	                   std::unique_ptr<SharedTracker> below = nullptr)
		: below_(std::move(below)), trackers_(std::move(trackers))
	{
	}
	uint32_t depth() const override { return trackers_[0]->depth(); }
	bool needs_owner() const override { return true; }
	uint32_t find(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t *values,
	              uint8_t *found) override
	{
		return trackers_[thread]->find(keys, n, tick, values, found);
	}
	uint32_t track(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t stamp,
	               uint8_t *results) override
	{
		return trackers_[thread]->track(keys, n, tick, stamp, results);
	}
	uint32_t remove(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t tick) override
	{
		return trackers_[thread]->remove(keys, n, tick);
	}
	uint32_t expire(unsigned thread, uint64_t tick) override
	{
		return trackers_[thread]->expire(tick);
	}
	uint64_t residents() const override
	{
		uint64_t sum = 0;
		for (const auto &t : trackers_)
			sum += t->residents();
		return sum;
	}
	size_t bytes() const override
	{
		size_t sum = below_ ? below_->bytes() : 0;
		for (const auto &t : trackers_)
			sum += t->bytes();
		return sum;
	}

private:
	std::unique_ptr<SharedTracker> below_; // outlives the trackers, which are destroyed first
	std::vector<std::unique_ptr<TimedTracker>> trackers_;
};

} // namespace reframer::conntrack
