// Job `conntrack-load`: cycles of lookups and inserts by load, in a table of fixed size that fills.
//
// spec   {"contender": "cuckoopp", "slots": 1048576, "stepPercent": 2.5, "toPercent": 97.5,
//         "lookups": 65536, "depth": 32, "seed": 1}
//        slots: a power of two; toPercent: load at which the contender would grow or refuse;
//        depth: keys that it takes at once
// record {"contender","tscGhz","bytes","at": {"50": {"lookupCycles","missCycles","insertCycles",
//         "insertOver50","insertP999Ns","preempted"}, ...}}
//        under "at": the load in percent, its point written as "_" ("2_5"); cycles are those of the
//        time stamp counter, a key; lookups: one in 32 is of an absent key; inserts: find or insert
//        of an absent key, in calls of 4096; insertOver50: over that at 50 % load, from there on;
//        preempted: calls that took ten times as long as usual, left out of the mean; the p99.9 is of
//        keys inserted one at a time; loads from which on the table has no room are left out.
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
	LoadTrial(conntrack::Tracker &tracker, std::string contender, uint32_t lookups, uint64_t seed)
		: tracker_(tracker), contender_(std::move(contender)), random_(seed), lookups_(lookups)
	{
	}

	// Fills up to `flows`, then looks up. @return the record of this load, null if it has no room.
	Json step(uint64_t flows)
	{
		double insert = insert_up_to(flows);
		if (full_)
			return nullptr;
		double p999 = double(engine::quantile(singles_, 0.999));
		double lookup =
			time_lookups(tracker_, contender_, draw_lookups(random_, flows, lookups_, 32));
		double miss =
			time_lookups(tracker_, contender_, draw_lookups(random_, flows, lookups_ / 4, 1));
		return {{"lookupCycles", lookup},
		        {"missCycles", miss},
		        {"insertCycles", insert},
		        {"insertP999Ns", std::max(0.0, p999 - overhead_) / ghz_},
		        {"preempted", preempted_}};
	}
	double tsc_ghz() const { return ghz_; }

private:
	// @return ticks an insert; singles_ holds those of the keys that came one at a time.
	double insert_up_to(uint64_t flows)
	{
		singles_.clear();
		calls_.clear();
		uint64_t nb = flows - inserted_, nb_single = std::min<uint64_t>(nb / 4, 8192);
		insert(nb - nb_single, trial_call);
		double mean = mean_of_calls();
		insert(nb_single, 1);
		return mean;
	}

	// Without calls of thousands of keys that took ten times as long as such calls do: the machine was
	// elsewhere. One pause of 10 ms would triple the mean of a step.
	double mean_of_calls()
	{
		std::vector<double> sorted = calls_;
		std::sort(sorted.begin(), sorted.end());
		double sum = 0;
		uint32_t nb = 0;
		preempted_ = 0;
		for (double ticks : sorted) {
			bool usual = ticks <= 10 * sorted[sorted.size() / 2];
			sum += usual ? ticks : 0;
			nb += usual;
			preempted_ += !usual;
		}
		return sum / std::max(nb, 1u);
	}

	void insert(uint64_t count, uint32_t call)
	{
		KeyColumn keys;
		std::vector<uint8_t> results(trial_call);
		for (uint64_t done = 0; done < count; done += keys.size()) {
			keys.clear();
			uint64_t first = inserted_;
			for (uint64_t i = done; i < std::min<uint64_t>(count, done + trial_call); i++)
				keys.add(inserted_++);
			for (uint32_t i = 0; i < keys.size(); i += call) {
				uint32_t n = std::min(call, keys.size() - i);
				uint64_t start = engine::tsc_start();
				uint32_t nb_new = tracker_.track(keys.at(i), n, 0, results.data());
				uint64_t took = engine::tsc_stop() - start;
				for (uint32_t k = 0; nb_new != n && k < n; k++)
					if (results[k] == 0)
						wrong_answer(contender_, "at " + std::to_string(first + i) +
						                             " flows a new key was not new");
				if (nb_new != n) {
					full_ = true;
					return;
				}
				if (call == 1)
					singles_.push_back(took);
				else
					calls_.push_back(double(took) / n);
			}
			// The state that lookups check: a second packet brings it, untimed.
			uint8_t result;
			for (uint32_t i = 0; i < keys.size(); i++)
				if (tracker_.track(keys.at(i), 1, trial_state(first + i), &result) != 0 ||
				    result != 0)
					wrong_answer(contender_, "a key that was just inserted is not known");
		}
	}

	conntrack::Tracker &tracker_;
	std::string contender_;
	std::mt19937_64 random_;
	uint32_t lookups_;
	uint64_t inserted_ = 0;
	bool full_ = false;
	std::vector<uint64_t> singles_;
	std::vector<double> calls_; // ticks a key of each
	uint32_t preempted_ = 0;    // calls left out
	double ghz_ = engine::measure_tsc_hz() * 1e-9, overhead_ = engine::measure_tsc_overhead();
};

} // namespace

void run_conntrack_load(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::string contender = reader.text("contender", "burst-table");
	const uint64_t slots = reader.integer("slots", 1 << 20, 1 << 10, 1 << 26);
	const double step = reader.real("stepPercent", 2.5, 0.5, 50);
	const double to = reader.real("toPercent", 90, 1, 100);
	const auto lookups =
		static_cast<uint32_t>(reader.integer("lookups", 1 << 16, 1 << 10, 1 << 24));
	const uint64_t seed = reader.integer("seed", 1, 0, UINT64_MAX / 4096);
	conntrack::TrackerOptions options;
	options.depth = static_cast<uint32_t>(
		reader.integer("depth", conntrack::tracker_burst, 1, conntrack::tracker_max_depth));
	reader.finish();
	if (!std::has_single_bit(slots))
		reader.fail("slots", "must be a power of two");
	options.flows = slots;
	options.power_of_two = true;
	options.updates = true;
	options.seed = seed + 1;
	auto tracker = open_contender(contender, options);
	if (!tracker)
		return;
	fill_flows(*tracker, contender, 0, slots / 2);
	drop_flows(*tracker, contender, 0, slots / 2);
	LoadTrial trial(*tracker, contender, lookups, seed);
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
	emit({{"contender", contender},
	      {"slots", slots},
	      {"tscGhz", trial.tsc_ghz()},
	      {"bytes", tracker->bytes()},
	      {"at", at}});
}

} // namespace reframer::lab
