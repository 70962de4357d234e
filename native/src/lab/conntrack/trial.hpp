// What the jobs of the connection-tracking experiment share: one contender a process, keys made
// outside timed parts, answers checked.
#pragma once

#include "conntrack/contenders/tracker.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/conntrack/workload.hpp"
#include "measure/marks.hpp"
#include "measure/tsc.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace reframer::lab {

// Packets handed over in one call: several bursts, so that a tracker that looks ahead can.
constexpr uint32_t trial_call = 128 * conntrack::tracker_burst;

// What every such job is told.
struct ContenderSpec {
	std::string contender = "burst-table";
	uint64_t seed = 1;
	uint32_t depth = conntrack::tracker_burst; // keys that it takes at once, where it is asked for

	void read(SpecReader &in);
	void read_depth(SpecReader &in, uint32_t most = conntrack::tracker_max_depth);
	// For so many flows; the table's own seed is another than that of its keys.
	conntrack::TrackerOptions options(uint64_t flows, bool power_of_two = false) const;
};

[[noreturn]] void wrong_answer(const std::string &contender, const std::string &what);

// State that flow `i` has in trials that check states.
constexpr uint64_t trial_state(uint64_t i)
{
	return i * 2654435761u + 1;
}

// Room for the answers to a call.
struct Answers {
	explicit Answers(uint32_t keys = trial_call) : values(keys), flags(keys) {}
	std::vector<uint64_t> values;
	std::vector<uint8_t> flags;
};

// A tracker, of which every answer that is not as it must be ends the job.
class Contender {
public:
	// `tracker` is nothing where this build or machine has none of that name: then a record
	// {"contender", "unavailable"} without any figure has been printed, and the trial is over.
	Contender(std::string name, const conntrack::TrackerOptions &options);
	Contender(std::string name, std::unique_ptr<conntrack::Tracker> tracker)
		: name(std::move(name)), tracker(std::move(tracker))
	{
	}
	explicit operator bool() const { return tracker != nullptr; }
	conntrack::Tracker *operator->() const { return tracker.get(); }
	[[noreturn]] void wrong(const std::string &what) const { wrong_answer(name, what); }

	// Keys [first, first + n), all of which must be new.
	void insert(const KeyColumn &keys, uint32_t first, uint32_t n, uint64_t state) const;
	void insert(const KeyColumn &keys, uint64_t state) const
	{
		insert(keys, 0, keys.size(), state);
	}
	// Inserts flows [first, first + count) with their trial_state(), key by key, untimed.
	void fill(uint64_t first, uint64_t count) const;
	// Removes them again.
	void drop(uint64_t first, uint64_t count) const;

	std::string name;
	std::unique_ptr<conntrack::Tracker> tracker;
};

// `count` keys that tables whose hash has no secret take for one: the same CRC from either end.
KeyColumn hostile_keys(uint32_t count, uint64_t seed);
// A burst table placed by NIC hashes, in calls of `burst` keys, up to 256. For the NIC's hash stands
// the key's CRC: it spreads ordinary keys, and of hostile_keys() it is one value.
std::unique_ptr<conntrack::Tracker> make_nic_tracker(uint64_t flows, uint64_t seed, uint32_t burst);

// Calls work(first, count) for each call of keys.
template <typename Work> void each_call(uint64_t keys, Work work)
{
	for (uint64_t first = 0; first < keys; first += trial_call)
		work(static_cast<uint32_t>(first),
		     static_cast<uint32_t>(std::min<uint64_t>(trial_call, keys - first)));
}

// Lookups, and what they must give.
struct Lookups {
	KeyColumn keys;
	uint64_t hits = 0, sum = 0;

	void add(uint64_t flow, bool miss, uint64_t state);
	// Ends the job where not these were found, with these states in sum.
	void check(const std::string &contender, uint64_t found, uint64_t states) const;
};
// `count` lookups of flows below `flows`, one in `one_miss_in` of a flow that is not there; 0: none.
Lookups draw_lookups(std::mt19937_64 &random, uint64_t flows, uint32_t count, uint32_t one_miss_in);
// Looks up keys [first, first + n) and adds what came of it to the last two.
void look_up(conntrack::Tracker &tracker, const KeyColumn &keys, uint32_t first, uint32_t n,
             Answers &answers, uint64_t &found, uint64_t &states);
// @return ticks a key, median of the calls
double time_lookups(const Contender &contender, const Lookups &lookups);

// Ticks of calls, without what the machine took away meanwhile: a call that was interrupted is
// charged what its like take (measure/marks.hpp), and counted.
class UsualTicks {
public:
	explicit UsualTicks(double hz) : ns_a_tick_(1e9 / hz) {}
	double operator()(uint32_t keys, double ticks)
	{
		double excess_ns;
		const double charged_ns = marker_.charge(keys, keys, ticks * ns_a_tick_, excess_ns);
		if (excess_ns == 0)
			return ticks;
		preempted_++;
		return charged_ns / ns_a_tick_;
	}
	uint64_t preempted() const { return preempted_; }

private:
	// A packet that finds neither its bucket, nor its entry, nor what expiry keeps of it in any cache
	// or TLB. Calls that take less than twice that are not taken for interrupted.
	static constexpr double worst_packet_ns = 400;
	engine::PollMarker marker_{worst_packet_ns};
	double ns_a_tick_;
	uint64_t preempted_ = 0;
};

// Runs `work(thread)` on that many threads, each pinned to a processor of its own among those that the
// process may use. @return TSC ticks from the first one's start to the last one's end.
uint64_t on_threads(uint32_t threads, const std::function<void(uint32_t)> &work);

} // namespace reframer::lab
