// Job `conntrack-load`: cycles of lookups and inserts by load, in a table of fixed size that fills.
//
// spec   {"contender": "cuckoopp", "slots": 1048576, "stepPercent": 2.5, "toPercent": 90,
//         "lookups": 65536, "depth": 32, "seed": 1}
//        slots: a power of two; toPercent: load at which the contender would grow or refuse;
//        depth: keys that it takes at once
// record {"contender","tscGhz","bytes","at": {"50": {"lookupCycles","missCycles","insertCycles",
//         "insertOver50","insertP999Ns","preempted"}, ...}}
//        under "at": the load in percent, its point written as "_" ("2_5"); cycles are those of the
//        time stamp counter, a key; lookups: one in 32 is of an absent key; inserts: find or insert
//        of an absent key, in calls of 4096; insertOver50: over that at 50 % load, from there on;
//        preempted: calls during which the core was away (measure/marks.hpp), which count as usual
//        ones; the p99.9 is of keys inserted one at a time; loads from which on the table has no room are left out.
//
// The table is filled to the half and emptied beforehand: page faults are not part of it.
#include "lab/conntrack/trial.hpp"
#include "measure/median.hpp"

#include <bit>
#include <cmath>

namespace reframer::lab {

namespace {

std::string name_of(double percent)
{
	std::string text = Json(percent).dump();
	if (text.ends_with(".0"))
		text.resize(text.size() - 2);
	std::replace(text.begin(), text.end(), '.', '_');
	return text;
}

class LoadTrial {
public:
	LoadTrial(const Contender &tracker, uint32_t lookups, uint64_t seed)
		: tracker_(tracker), random_(seed), lookups_(lookups)
	{
	}

	// Fills up to `flows`, then looks up. @return the record of this load, null if it has no room.
	Json step(uint64_t flows)
	{
		// Keys of the last calls come one at a time.
		const uint64_t nb = flows - inserted_, nb_single = std::min<uint64_t>(nb / 4, 8192);
		const uint64_t preempted_before = usual_.preempted();
		const double insert_cycles = insert(nb - nb_single, trial_call) / double(nb - nb_single);
		const uint64_t preempted = usual_.preempted() - preempted_before;
		singles_.clear();
		insert(nb_single, 1);
		if (full_)
			return nullptr;
		const double insert_p999_ns =
			std::max(0.0, double(engine::quantile(singles_, 0.999)) - overhead_) / (hz_ * 1e-9);
		const double lookup_cycles =
			time_lookups(tracker_, draw_lookups(random_, flows, lookups_, 32));
		const double miss_cycles =
			time_lookups(tracker_, draw_lookups(random_, flows, lookups_ / 4, 1));
		return NAMED(lookup_cycles, miss_cycles, insert_cycles, insert_p999_ns, preempted);
	}
	double tsc_ghz() const { return hz_ * 1e-9; }

private:
	// @return ticks of all; singles_ holds those of keys that came one at a time.
	double insert(uint64_t count, uint32_t call)
	{
		double ticks = 0;
		KeyColumn keys;
		std::vector<uint8_t> results(trial_call);
		for (uint64_t done = 0; done < count && !full_; done += keys.size()) {
			const uint64_t first = inserted_;
			keys.clear();
			keys.add_flows(first, std::min<uint64_t>(trial_call, count - done));
			inserted_ += keys.size();
			for (uint32_t i = 0; i < keys.size(); i += call) {
				const uint32_t n = std::min(call, keys.size() - i);
				const uint64_t start = engine::tsc_start();
				const uint32_t nb_new = tracker_->track(keys.at(i), n, 0, results.data());
				const uint64_t took = engine::tsc_stop() - start;
				if (nb_new != n && std::count(results.begin(), results.begin() + n, 0))
					tracker_.wrong("at " + std::to_string(first + i) +
					               " flows a new key was not new");
				full_ = nb_new != n;
				if (full_)
					return ticks;
				if (call == 1)
					singles_.push_back(took);
				else
					ticks += usual_(n, double(took));
			}
			// The state that lookups check: a second packet brings it, untimed.
			for (uint32_t i = 0; i < keys.size(); i++)
				if (tracker_->track(keys.at(i), 1, trial_state(first + i), results.data()) != 0 ||
				    results[0] != 0)
					tracker_.wrong("a key that was just inserted is not known");
		}
		return ticks;
	}

	const Contender &tracker_;
	std::mt19937_64 random_;
	uint32_t lookups_;
	uint64_t inserted_ = 0;
	bool full_ = false;
	std::vector<uint64_t> singles_;
	double hz_ = engine::measure_tsc_hz(), overhead_ = engine::measure_tsc_overhead();
	UsualTicks usual_{hz_};
};

} // namespace

void run_conntrack_load(const Json &json)
{
	SpecReader in(json, "");
	ContenderSpec spec;
	spec.read(in);
	spec.read_depth(in);
	const uint64_t slots = in.integer("slots", 1 << 20, 1 << 10, 1 << 26);
	const double step = in.real("stepPercent", 2.5, 0.5, 50);
	const double to = in.real("toPercent", 90, 1, 100);
	const auto lookups = in.integer<uint32_t>("lookups", 1 << 16, 1 << 10, 1 << 24);
	if (!std::has_single_bit(slots))
		in.fail("slots", "must be a power of two");
	in.finish();
	conntrack::TrackerOptions options = spec.options(slots, true);
	options.updates = true;
	const Contender tracker(spec.contender, options);
	if (!tracker)
		return;
	tracker.fill(0, slots / 2);
	tracker.drop(0, slots / 2);
	LoadTrial trial(tracker, lookups, spec.seed);
	Json at = Json::object();
	double at_half = 0;
	for (int n = 1; step * n <= to + 1e-9; n++) {
		Json record = trial.step(static_cast<uint64_t>(std::floor(double(slots) * step * n / 100)));
		if (record.is_null())
			break;
		const double insert = record["insertCycles"];
		if (step * n == 50)
			at_half = insert;
		if (at_half > 0)
			record["insertOver50"] = insert / at_half;
		at[name_of(step * n)] = std::move(record);
	}
	emit(NAMED(spec.contender, slots, trial.tsc_ghz(), tracker->bytes(), at));
}

} // namespace reframer::lab
