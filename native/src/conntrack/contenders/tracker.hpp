// One interface for the burst table and the tables it is compared with.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace reframer::conntrack {

// Packets a burst, as everywhere in the suite.
constexpr uint32_t tracker_burst = 32;
// The most keys that a tracker takes at once: what the arrays of its steps have room for.
constexpr uint32_t tracker_max_depth = 256;

// Keys lie one behind the other. State is one 64-bit word a flow.
class Tracker {
public:
	virtual ~Tracker() = default;
	// Keys that it takes at once: the memory of all of them is asked for before the first is needed.
	// 1: one key after the other.
	virtual uint32_t depth() const = 0;
	// Whether it does what TrackerOptions.look_ahead asks for.
	virtual bool looks_ahead() const { return false; }
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
	uint64_t flows = 0;     // to be held at the load that the table is sized for
	uint32_t key_size = 16; // 16 or 40
	uint64_t seed = 1;
	// States change with every packet. Matters to rte_hash only, which then needs an array beside
	// it; without, its states are values that only a second insert changes.
	bool updates = false;
	// Sizes the table to a power of two of slots that is at least `flows`, as the paper did;
	// otherwise to what the table's documentation calls a full table.
	bool power_of_two = false;
	// Keys at once, 1..tracker_max_depth: one number for every table that takes several. A burst is
	// what a poll brings; 128 is where memory's rate levels off. A table takes fewer where its
	// library does (rte_hash 64) or cannot be prefetched (the tsl maps 1); see depth().
	uint32_t depth = tracker_burst;
	// A loop that knows its next burst: before `depth` keys are worked on, the memory of the `depth`
	// keys behind them in the same call is asked for.
	bool look_ahead = false;
	// Of the burst table: entries a slot at which `flows` are met, and beyond which it does not grow;
	// 0: its default, and it may.
	uint32_t load_percent = 0;
};

// Names of the trackers in this build: TABLE takes one key at a time, whatever the depth;
// TABLE-burst takes `depth` at once, and so does burst-table.
std::vector<std::string> tracker_names();
// NULL: not in this build. Throws std::bad_alloc, std::invalid_argument (unknown name, depth).
std::unique_ptr<Tracker> make_tracker(const std::string &name, const TrackerOptions &options);

// What takes several keys at once, piece by piece: work(first, count) for `depth` of `n` keys at a
// time, and `ask(first, count)` before it: for the same piece, or with `ahead` for the next one.
template <typename Ask, typename Work>
void in_pieces(uint32_t n, uint32_t depth, bool ahead, Ask ask, Work work)
{
	const auto piece = [&](uint32_t first) { return first < n ? std::min(depth, n - first) : 0; };
	if (ahead && n > 0)
		ask(0u, piece(0));
	for (uint32_t first = 0; first < n; first += depth) {
		const uint32_t asked = ahead ? first + depth : first;
		if (const uint32_t count = piece(asked))
			ask(asked, count);
		work(first, piece(first));
	}
}

// One file each; they take options.depth keys at once.
std::unique_ptr<Tracker> make_burst_table(const TrackerOptions &options);
std::unique_ptr<Tracker> make_cuckoopp(const TrackerOptions &options);
// Its entries expire: each packet sets their deadline anew, a new one takes a dead one's place.
std::unique_ptr<Tracker> make_cuckoopp_timers(const TrackerOptions &options);
std::unique_ptr<Tracker> make_chaining(const TrackerOptions &options);
std::unique_ptr<Tracker> make_chaining_stl(const TrackerOptions &options);
std::unique_ptr<Tracker> make_hopscotch(const TrackerOptions &options);
std::unique_ptr<Tracker> make_robin(const TrackerOptions &options);
// Maps of others, where they were there at build time.
std::unique_ptr<Tracker> make_absl_flat(const TrackerOptions &options);
std::unique_ptr<Tracker> make_boost_flat(const TrackerOptions &options);
std::unique_ptr<Tracker> make_ck(const TrackerOptions &options);
// NULL where DPDK's EAL does not start.
std::unique_ptr<Tracker> make_rte_hash(const TrackerOptions &options);

} // namespace reframer::conntrack
