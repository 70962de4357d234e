// The obvious flow table: what every tracker is compared with.
#pragma once

#include "support/seed.hpp"

#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace reframer::test {

// One seed for a run; REFRAMER_SEED replays it.
inline uint64_t run_seed()
{
	static const uint64_t seed = reframer::test::seed_for("conntrack", 20211);
	return seed;
}

class FlowModel {
public:
	struct Flow {
		uint64_t value;
		uint64_t last_tick;
		unsigned timeout_class;
	};

	explicit FlowModel(std::vector<uint64_t> timeouts) : timeouts_(std::move(timeouts)) {}

	// Times only move on.
	void advance(uint64_t tick) { tick_ = std::max(tick_, tick); }

	bool alive(const Flow &f) const
	{
		uint64_t timeout = timeouts_[f.timeout_class];
		return timeout == 0 || tick_ < f.last_tick + timeout;
	}
	// NULL if there is none alive; refreshed otherwise.
	Flow *find(const std::string &key)
	{
		auto it = flows_.find(key);
		if (it == flows_.end())
			return nullptr;
		if (!alive(it->second)) {
			flows_.erase(it);
			return nullptr;
		}
		it->second.last_tick = tick_;
		return &it->second;
	}
	Flow *insert(const std::string &key, uint64_t value)
	{
		return &(flows_[key] = {value, tick_, 0});
	}
	bool remove(const std::string &key)
	{
		bool there = find(key) != nullptr;
		flows_.erase(key);
		return there;
	}
	void set_class(const std::string &key, unsigned timeout_class)
	{
		flows_[key].timeout_class = timeout_class;
		flows_[key].last_tick = tick_;
	}
	std::map<std::string, uint64_t> live() const
	{
		std::map<std::string, uint64_t> out;
		for (const auto &[key, flow] : flows_)
			if (alive(flow))
				out[key] = flow.value;
		return out;
	}
	size_t size() const { return flows_.size(); }

private:
	std::vector<uint64_t> timeouts_; // ticks, 0 never
	uint64_t tick_ = 0;
	std::unordered_map<std::string, Flow> flows_;
};

} // namespace reframer::test
