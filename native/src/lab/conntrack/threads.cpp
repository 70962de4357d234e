// Job `conntrack-threads`: one flow table and several threads, by the way they share it.
//
// spec   {"contender": "rte-hash", "sharing": "concurrent", "threads": 2, "writePercent": 5,
//         "flows": 1000000, "operations": 2000000, "seed": 1}
//        sharing: sharded, mutex, spinlock, rwlock, striped, concurrent; operations: of each thread
// record {"contender","sharing","threads","mops","insertCycles","lookupCycles"}
//        mops: operations of all threads, M/s, by the slowest thread; cycles: median of bursts of 32,
//        a key; or {"contender","unavailable"}
//
// A write burst inserts 32 new flows and removes the 32 oldest of its thread. Lookups are of flows
// that stay, drawn anew each time from all of them: from the thread's own where a flow needs an
// owner. Every state is checked, and at the end that exactly the flows are there that should be.
#include "conntrack/shared/shared_tracker.hpp"
#include "lab/conntrack/trial.hpp"
#include "measure/median.hpp"

#include <algorithm>
#include <deque>
#include <thread>

namespace reframer::lab {

namespace {

using conntrack::Sharing;
constexpr uint32_t burst_size = conntrack::tracker_burst;
constexpr uint64_t tick = 1; // nothing ends by itself
// Flows of a thread that come and go.
constexpr uint32_t churn_bursts = 256;

struct Setup : ContenderSpec {
	Sharing sharing = Sharing::concurrent;
	uint32_t threads = 1;
	double writes = 0.05;
	uint64_t flows = 1'000'000, operations = 2'000'000;
};

class Worker {
public:
	Worker(const Setup &s, conntrack::SharedTracker &tracker, unsigned thread)
		: s_(s), tracker_(tracker), thread_(thread), random_(s.seed * 64 + thread),
		  next_new_(thread)
	{
		draw_lookups();
		for (uint32_t b = 0; b < churn_bursts; b++)
			insert_burst();
		inserts_.clear();
	}

	// Flows that stay and are this thread's to insert.
	void fill()
	{
		for (uint64_t i = thread_; i < s_.flows; i += s_.threads) {
			uint8_t key[KeyColumn::key_size], result = 0;
			write_flow_key(key, sizeof(key), i, 1);
			if (tracker_.track(thread_, key, 1, tick, trial_state(i), &result) != 1)
				wrong_answer(s_.contender, "a flow that stays was not new, or had no room");
		}
	}

	void run()
	{
		// A write burst is two operations a key.
		const double share = s_.writes / (2 - s_.writes);
		std::mt19937_64 dice(s_.seed * 128 + thread_);
		for (uint64_t done = 0; done < s_.operations;) {
			if (double(dice() >> 11) * 0x1p-53 < share) {
				insert_burst();
				remove_burst();
				done += 2 * burst_size;
			} else {
				lookup_burst();
				done += burst_size;
			}
		}
	}

	uint64_t churning() const { return present_.size() * burst_size; }
	std::vector<uint64_t> &inserts() { return inserts_; }
	std::vector<uint64_t> &lookups() { return lookup_ticks_; }

	// At rest: its own flows are there, and those that it removed are not.
	void check_end()
	{
		uint64_t values[burst_size];
		uint8_t found[burst_size];
		for (uint64_t first : present_) {
			write_new(first);
			if (tracker_.find(thread_, keys_.at(0), burst_size, tick, values, found) != burst_size)
				wrong_answer(s_.contender, "a flow that was inserted is not there");
		}
		if (last_removed_ == UINT64_MAX)
			return;
		write_new(last_removed_);
		if (tracker_.find(thread_, keys_.at(0), burst_size, tick, values, found) != 0)
			wrong_answer(s_.contender, "a flow that was removed is still there");
	}

private:
	// Drawn beforehand, one for each operation: fewer, asked again and again, would sit in the
	// caches however large the table is. They are read in order, which the processor foresees.
	void draw_lookups()
	{
		const uint64_t nb = (s_.operations + burst_size - 1) / burst_size * burst_size;
		for (uint64_t n = 0; n < nb; n++) {
			uint64_t i = random_() % (s_.flows / s_.threads) * s_.threads +
			             (tracker_.needs_owner() ? thread_ : random_() % s_.threads);
			asked_.add(i);
			expected_.push_back(trial_state(i));
		}
	}

	void write_new(uint64_t first)
	{
		keys_.clear();
		keys_.add_flows(first, burst_size, 3, s_.threads);
	}

	void insert_burst()
	{
		write_new(next_new_);
		uint8_t results[burst_size];
		uint64_t start = engine::tsc_start();
		uint32_t nb = tracker_.track(thread_, keys_.at(0), burst_size, tick, 5, results);
		inserts_.push_back(engine::tsc_stop() - start);
		if (nb != burst_size)
			wrong_answer(s_.contender, "a new flow was not new, or had no room");
		present_.push_back(next_new_);
		next_new_ += uint64_t{burst_size} * s_.threads;
	}

	void remove_burst()
	{
		last_removed_ = present_.front();
		present_.pop_front();
		write_new(last_removed_);
		if (tracker_.remove(thread_, keys_.at(0), burst_size, tick) != burst_size)
			wrong_answer(s_.contender, "a flow that was there could not be removed");
	}

	void lookup_burst()
	{
		uint64_t values[burst_size];
		uint8_t found[burst_size];
		uint64_t start = engine::tsc_start();
		uint32_t nb = tracker_.find(thread_, asked_.at(at_), burst_size, tick, values, found);
		lookup_ticks_.push_back(engine::tsc_stop() - start);
		if (nb != burst_size || !std::equal(values, values + burst_size, expected_.begin() + at_))
			wrong_answer(s_.contender, "a lookup gave the wrong state, or none");
		at_ = at_ + burst_size == asked_.size() ? 0 : at_ + burst_size;
	}

	const Setup &s_;
	conntrack::SharedTracker &tracker_;
	unsigned thread_;
	std::mt19937_64 random_;
	KeyColumn asked_, keys_;
	std::vector<uint64_t> expected_;
	uint32_t at_ = 0;
	uint64_t next_new_, last_removed_ = UINT64_MAX;
	std::deque<uint64_t> present_; // first flow of each burst that was inserted
	std::vector<uint64_t> inserts_, lookup_ticks_;
};

} // namespace

void run_conntrack_threads(const Json &json)
{
	SpecReader in(json, "");
	Setup s;
	s.read(in);
	in.read("sharing", s.sharing,
	        {{"sharded", Sharing::sharded},
	         {"mutex", Sharing::mutex},
	         {"spinlock", Sharing::spinlock},
	         {"rwlock", Sharing::rwlock},
	         {"striped", Sharing::striped},
	         {"concurrent", Sharing::concurrent}});
	in.read("threads", s.threads, 1, 64);
	s.writes = in.real("writePercent", 5, 0, 100) / 100;
	in.read("flows", s.flows, 1000, 1 << 24);
	in.read("operations", s.operations, 1000, UINT32_MAX);
	in.finish();
	const Json named = {{"contender", s.contender},
	                    {"sharing", conntrack::sharing_name(s.sharing)}};
	const auto unavailable = [&](const std::string &why) {
		emit(joined(named, {{"unavailable", why}}));
	};
	if (s.threads > std::thread::hardware_concurrency())
		return unavailable("this machine has " +
		                   std::to_string(std::thread::hardware_concurrency()) + " cores");
	conntrack::SharedOptions options;
	options.table = s.contender;
	options.sharing = s.sharing;
	options.nb_threads = s.threads;
	// One burst more, which comes before the oldest goes.
	const uint64_t churn = uint64_t{churn_bursts + 1} * burst_size * s.threads;
	// Room beyond that: where readers hold no lock, removed flows keep their places for a while.
	options.timed.tracker.flows = (s.flows + churn) * 5 / 4;
	options.timed.tracker.seed = s.seed + 1;
	options.timed.tracker.updates = true;
	std::unique_ptr<conntrack::SharedTracker> tracker;
	try {
		tracker = conntrack::make_shared_tracker(options);
	} catch (const std::invalid_argument &e) {
		return unavailable(e.what());
	}
	if (!tracker)
		return unavailable("not in this build, or not this table in this way");

	std::vector<std::unique_ptr<Worker>> workers(s.threads);
	on_threads(s.threads, [&](uint32_t t) {
		workers[t] = std::make_unique<Worker>(s, *tracker, t);
		workers[t]->fill();
	});
	const uint64_t ticks = on_threads(s.threads, [&](uint32_t t) { workers[t]->run(); });
	on_threads(s.threads, [&](uint32_t t) { workers[t]->check_end(); });
	uint64_t there = s.flows;
	std::vector<uint64_t> inserts, lookups;
	for (auto &w : workers) {
		there += w->churning();
		inserts.insert(inserts.end(), w->inserts().begin(), w->inserts().end());
		lookups.insert(lookups.end(), w->lookups().begin(), w->lookups().end());
	}
	if (tracker->residents() != there)
		wrong_answer(s.contender, "holds " + std::to_string(tracker->residents()) + " flows, not " +
		                              std::to_string(there));
	const double hz = engine::measure_tsc_hz();
	Json record =
		joined(named, {{"threads", s.threads},
	                   {"mops", double(s.operations) * s.threads * hz / double(ticks) * 1e-6},
	                   {"lookupCycles", double(engine::quantile(lookups, 0.5)) / burst_size}});
	if (!inserts.empty())
		record["insertCycles"] = double(engine::quantile(inserts, 0.5)) / burst_size;
	emit(record);
}

} // namespace reframer::lab
