// One interface for the burst table and the tables it is compared with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace reframer::conntrack {

// Packets a burst, as everywhere in the suite. A tracker that works on bursts takes its keys this
// many at a time; one that looks further ahead says so in depth().
constexpr uint32_t tracker_burst = 32;

// Keys lie one behind the other. State is one 64-bit word a flow.
class Tracker {
public:
	virtual ~Tracker() = default;
	// Keys whose memory it asks for before it needs the first: 1 for scalar use.
	virtual uint32_t depth() const = 0;
	// Whether several threads may call find() at once (and nothing else meanwhile).
	virtual bool reads_only() const { return true; }
	// values[i] is the state of key i where found[i] is 1. @return keys found.
	virtual uint32_t find(const uint8_t *keys, uint32_t n, uint64_t *values, uint8_t *found) = 0;
	// A packet of each key: finds or inserts, in order, and stores `stamp` as the state.
	// results[i]: 1 new, 0 known, refused where there was no room. @return new flows.
	virtual uint32_t track(const uint8_t *keys, uint32_t n, uint64_t stamp, uint8_t *results) = 0;
	// @return keys removed.
	virtual uint32_t remove(const uint8_t *keys, uint32_t n) = 0;
	virtual uint64_t flows() const = 0;
	// Memory held now, by the table's own account.
	virtual size_t bytes() const = 0;

	static constexpr uint8_t refused = 0xff;
};

struct TrackerOptions {
	uint64_t flows = 0;      // to be held at the load that the table is sized for
	uint32_t key_size = 16;  // 16 or 40
	uint64_t seed = 1;
	// States change with every packet. Matters to rte_hash only, which then needs an array beside
	// it; without, its states are values that only a second insert changes.
	bool updates = false;
	// Sizes the table to a power of two of slots that is at least `flows`, as the paper did;
	// otherwise to what the table's documentation calls a full table.
	bool power_of_two = false;
};

// How the burst table is used: a call a burst; the same, with digests and prefetches some bursts
// ahead; or calls of up to 256 keys, in which the table itself looks ahead.
enum class BurstUse { bursts, digests_ahead, long_calls };

// Names of the trackers in this build: TABLE for scalar use, TABLE-burst for bursts; of the burst
// table burst-table, burst-table-ahead and burst-table-long, one for each BurstUse.
std::vector<std::string> tracker_names();
// NULL: not in this build. Throws std::bad_alloc, std::invalid_argument (unknown name).
std::unique_ptr<Tracker> make_tracker(const std::string &name, const TrackerOptions &options);

// One file each.
std::unique_ptr<Tracker> make_burst_table(const TrackerOptions &options, BurstUse use);
std::unique_ptr<Tracker> make_cuckoopp(const TrackerOptions &options, bool bursts);
std::unique_ptr<Tracker> make_chaining(const TrackerOptions &options, bool bursts);
std::unique_ptr<Tracker> make_chaining_stl(const TrackerOptions &options);
std::unique_ptr<Tracker> make_hopscotch(const TrackerOptions &options, bool bursts);
std::unique_ptr<Tracker> make_robin(const TrackerOptions &options, bool bursts);
// Maps of others, where they were there at build time.
std::unique_ptr<Tracker> make_absl_flat(const TrackerOptions &options, bool bursts);
std::unique_ptr<Tracker> make_boost_flat(const TrackerOptions &options);
std::unique_ptr<Tracker> make_ck(const TrackerOptions &options);
// NULL where DPDK's EAL does not start.
std::unique_ptr<Tracker> make_rte_hash(const TrackerOptions &options, bool bursts);

} // namespace reframer::conntrack
