// Trackers whose flows end by themselves: any tracker with one of the paper's ways to expire.
#pragma once

#include "conntrack/contenders/tracker.hpp"

namespace reframer::conntrack {

enum class Expiry {
	// Flows stay until they are removed.
	none,
	// A timer wheel; a flow is looked at when it may be over.
	wheel,
	// Nobody looks; a dead flow is not found, and gives its place to a new one.
	lazy,
	// A piece of the table each tick, the whole of it once a second; of the burst table, once a quarter
	// of the timeout.
	scan,
};
const char *expiry_name(Expiry expiry);

// As Tracker, with time. Ticks never go back. A flow is there from the tick of its last packet for
// `timeout_ticks` ticks: found at tick < last + timeout, and never later.
class TimedTracker {
public:
	virtual ~TimedTracker() = default;
	virtual uint32_t depth() const = 0;
	virtual bool reads_only() const = 0;
	virtual uint32_t find(const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t *values,
	                      uint8_t *found) = 0;
	virtual uint32_t track(const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t stamp,
	                       uint8_t *results) = 0;
	virtual uint32_t remove(const uint8_t *keys, uint32_t n, uint64_t tick) = 0;
	// The work of a tick; call it once each. @return flows taken out.
	virtual uint32_t expire(uint64_t tick) = 0;
	// Flows that take up room, dead ones included.
	virtual uint64_t residents() const = 0;
	virtual size_t bytes() const = 0;
};

struct TimedOptions {
	TrackerOptions tracker;
	Expiry expiry = Expiry::none;
	uint32_t timeout_ticks = 5000;    // 2..2^24
	uint32_t ticks_per_second = 1000; // 1..1000, as in the paper
};

// Any tracker by its name. The burst table's and Cuckoo++'s own way to expire (deadlines in buckets)
// is used for lazy and scan, Cuckoo++'s up to 16384 ticks; all else keeps a block for each flow
// beside the table, as the paper does.
// NULL: not in this build. Throws std::bad_alloc, std::invalid_argument.
std::unique_ptr<TimedTracker> make_timed_tracker(const std::string &name,
                                                 const TimedOptions &options);

// One file each.
std::unique_ptr<TimedTracker> make_untimed(std::unique_ptr<Tracker> table);
// `table` holds flow ids. It may be one thread's view of a table that others use too: then ids are
// its alone from `first_id` on.
std::unique_ptr<TimedTracker> make_flow_blocks(std::unique_ptr<Tracker> table,
                                               const TimedOptions &options, uint64_t first_id = 1);
std::unique_ptr<TimedTracker> make_timed_burst_table(const TimedOptions &options);
std::unique_ptr<TimedTracker> make_timed_cuckoopp(const TimedOptions &options);

} // namespace reframer::conntrack
