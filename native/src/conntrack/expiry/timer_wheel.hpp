// A timer wheel as in the paper: one level, a list of flows for each tick. The lists run through
// arrays of 32-bit ids; both ways, so that a flow that ends early is taken out at once.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace reframer::conntrack {

class TimerWheel {
public:
	// Ids 0..nb_ids-1; deadlines at most `timeout_ticks` ahead.
	TimerWheel(uint32_t nb_ids, uint32_t timeout_ticks)
		: heads_(std::bit_ceil(uint64_t{timeout_ticks} + 2), none), links_(nb_ids),
		  mask_(heads_.size() - 1)
	{
	}

	// `deadline` is after the last tick that was fired.
	void insert(uint32_t id, uint64_t deadline)
	{
		uint32_t &head = heads_[deadline & mask_];
		links_[id] = {head, none, static_cast<uint32_t>(deadline & mask_)};
		if (head != none)
			links_[head].previous = id;
		head = id;
	}
	void remove(uint32_t id)
	{
		Link &link = links_[id];
		if (link.next != none)
			links_[link.next].previous = link.previous;
		if (link.previous != none)
			links_[link.previous].next = link.next;
		else
			heads_[link.slot] = link.next;
	}

	// Takes out each flow whose slot has come by `tick` and calls `due(id)`, which may insert it
	// again. One turn at most: after a leap of the clock every slot has come.
	template <typename Due> void fire(uint64_t tick, Due due)
	{
		if (tick <= fired_)
			return;
		uint64_t first = tick - fired_ > mask_ ? tick - mask_ : fired_ + 1;
		fired_ = tick;
		for (uint64_t t = first; t <= tick; t++) {
			uint32_t id = heads_[t & mask_];
			heads_[t & mask_] = none;
			while (id != none) {
				uint32_t next = links_[id].next;
				due(id);
				id = next;
			}
		}
	}
	uint64_t fired() const { return fired_; }
	size_t bytes() const { return heads_.size() * sizeof(uint32_t) + links_.size() * sizeof(Link); }

private:
	static constexpr uint32_t none = UINT32_MAX;
	struct Link {
		uint32_t next, previous, slot;
	};
	std::vector<uint32_t> heads_;
	std::vector<Link> links_;
	uint64_t mask_, fired_ = 0;
};

} // namespace reframer::conntrack
