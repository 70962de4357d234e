// Any tracker for several threads, in any of the ways to share one, with any of the ways to expire.
#pragma once

#include "conntrack/expiry/timed_tracker.hpp"

namespace reframer::conntrack {

enum class Sharing {
	sharded,    // a table for each thread; a key must always come to the same one
	mutex,      // one lock that sleeps, around each call (or burst)
	spinlock,   // one lock that spins
	rwlock,     // one spinning lock; lookups side by side
	striped,    // 64 regions, each with a table and a spinlock of its own
	concurrent, // the table's own way: rte_hash's lock-free readers, the burst table's sequence locks
};
const char *sharing_name(Sharing sharing);

// As TimedTracker; `thread` is 0..nb_threads-1, each used by one thread at a time.
class SharedTracker {
public:
	virtual ~SharedTracker() = default;
	virtual uint32_t depth() const = 0;
	// Whether all packets of a flow must come to the same thread. Other threads then do not find
	// the flow (sharded), or what they do to it may be lost.
	virtual bool needs_owner() const = 0;
	virtual uint32_t find(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t tick,
	                      uint64_t *values, uint8_t *found) = 0;
	virtual uint32_t track(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t tick,
	                       uint64_t stamp, uint8_t *results) = 0;
	virtual uint32_t remove(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t tick) = 0;
	// Each thread calls it once a tick; the work is shared out.
	virtual uint32_t expire(unsigned thread, uint64_t tick) = 0;
	virtual uint64_t residents() const = 0;
	virtual size_t bytes() const = 0;
};

struct SharedOptions {
	std::string table; // one of tracker_names(), or of concurrent_names()
	Sharing sharing = Sharing::sharded;
	unsigned nb_threads = 1;
	// timed.tracker.flows: of all threads together.
	TimedOptions timed;
};

// Tables with a way of their own: "burst-table", "rte-hash" and those peers that this build has.
std::vector<std::string> concurrent_names();
// NULL: not in this build, or not this table in this way. Throws std::bad_alloc,
// std::invalid_argument (unknown table).
std::unique_ptr<SharedTracker> make_shared_tracker(const SharedOptions &options);

// One file each.
std::unique_ptr<SharedTracker> make_locked(const SharedOptions &options);
std::unique_ptr<SharedTracker> make_shared_burst_table(const SharedOptions &options);
// Tables of others, where they were there at build time.
std::unique_ptr<SharedTracker> make_libcuckoo(const SharedOptions &options);
std::unique_ptr<SharedTracker> make_tbb(const SharedOptions &options);
std::unique_ptr<SharedTracker> make_urcu(const SharedOptions &options);
// NULL where DPDK's EAL does not start. Threads other than EAL's register with it by themselves.
std::unique_ptr<SharedTracker> make_shared_rte_hash(const SharedOptions &options);

} // namespace reframer::conntrack
