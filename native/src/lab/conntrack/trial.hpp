// What the jobs of the connection-tracking experiment share: one contender a process, keys made
// outside timed parts, answers checked.
#pragma once

#include "conntrack/contenders/tracker.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/conntrack/workload.hpp"
#include "measure/tsc.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace reframer::lab {

// Packets handed over in one call: several bursts, so that a tracker that looks ahead can.
constexpr uint32_t trial_call = 128 * conntrack::tracker_burst;

// The tracker of that name. NULL where this build or machine has none: then a record
// {"contender", "unavailable"} without any figure has been printed, and the trial is over.
std::unique_ptr<conntrack::Tracker> open_contender(const std::string &name,
                                                   const conntrack::TrackerOptions &options);
[[noreturn]] void wrong_answer(const std::string &contender, const std::string &what);

// State that flow `i` has in trials that check states.
constexpr uint64_t trial_state(uint64_t i)
{
	return i * 2654435761u + 1;
}

// IPv4 keys one behind the other.
class KeyColumn {
public:
	static constexpr uint32_t key_size = 16;
	void clear() { bytes_.clear(); }
	void add(uint64_t flow, uint64_t salt = 1);
	void add_bytes(const void *key);
	uint32_t size() const { return static_cast<uint32_t>(bytes_.size() / key_size); }
	const uint8_t *at(uint32_t i) const { return bytes_.data() + size_t{i} * key_size; }
	uint8_t *at(uint32_t i) { return bytes_.data() + size_t{i} * key_size; }

private:
	std::vector<uint8_t> bytes_;
};

// `count` keys that tables whose hash has no secret take for one: the same CRC from either end.
KeyColumn hostile_keys(uint32_t count, uint64_t seed);
// A burst table placed by NIC hashes, in calls of `burst` keys, up to 256. For the NIC's hash stands
// the key's CRC: it spreads ordinary keys, and of hostile_keys() it is one value.
std::unique_ptr<conntrack::Tracker> make_nic_tracker(uint64_t flows, uint64_t seed, uint32_t burst);

// Calls work(first, count) for each call of keys.
template <typename Work> void each_call(uint32_t keys, Work work)
{
	for (uint32_t first = 0; first < keys; first += trial_call)
		work(first, std::min(trial_call, keys - first));
}

// Inserts flows [first, first + count) with their trial_state(), key by key, untimed.
void fill_flows(conntrack::Tracker &tracker, const std::string &contender, uint64_t first,
                uint64_t count);
// Removes them again.
void drop_flows(conntrack::Tracker &tracker, const std::string &contender, uint64_t first,
                uint64_t count);

struct Lookups {
	KeyColumn keys;
	uint64_t hits = 0, sum = 0; // what they must give
};
// `count` lookups of flows below `flows`, one in `one_miss_in` of a flow that is not there; 0: none.
Lookups draw_lookups(std::mt19937_64 &random, uint64_t flows, uint32_t count, uint32_t one_miss_in);
// @return ticks a key, median of the calls. Ends the job on a wrong answer.
double time_lookups(conntrack::Tracker &tracker, const std::string &contender,
                    const Lookups &lookups);

// Runs `work(thread)` on that many threads, each pinned to a processor of its own among those that the
// process may use. @return TSC ticks from the first one's start to the last one's end.
uint64_t on_threads(uint32_t threads, const std::function<void(uint32_t)> &work);

} // namespace reframer::lab
