// Job `conntrack-growth`: a table made for few flows grows to many; how long does the slowest insert
// take?
//
// spec   {"contender": "burst-table", "from": 1000, "to": 16000000, "burst": 1, "seed": 1}
//        burst: keys a call, 1 or 32
// record {"contender","noiseMaxUs","at": {"10000": {"insertNs","p999Us","p9999Us","slowestUs",
//         "bytesPerFlow"}, ...}}
//        under "at": flows, ten times more each and the last; times are of the calls since the size
//        before, of a burst as a whole where burst is 32; insertNs: mean of a key
//        noiseMaxUs: longest gap between clock readings in a loop of the same length, a second at
//        most, that inserts nothing: what the machine alone does to the slowest call.
#include "lab/conntrack/trial.hpp"
#include "measure/median.hpp"

#include <algorithm>

namespace reframer::lab {

namespace {

// Longest gap between two clock readings within `ticks`.
uint64_t longest_gap(uint64_t ticks)
{
	uint64_t start = engine::tsc_start(), before = start, longest = 0;
	while (before - start < ticks) {
		uint64_t now = engine::tsc_stop();
		longest = std::max(longest, now - before);
		before = now;
	}
	return longest;
}

} // namespace

void run_conntrack_growth(const Json &json)
{
	SpecReader in(json, "");
	ContenderSpec spec;
	spec.read(in);
	const uint64_t from = in.integer("from", 1000, 64, 1 << 26);
	const uint64_t to = in.integer("to", 1'000'000, 1000, 1 << 26);
	const auto burst = in.integer<uint32_t>("burst", 1, 1, conntrack::tracker_burst);
	if (to <= from)
		in.fail("to", "must be above from");
	in.finish();
	const uint64_t seed = spec.seed;
	const Contender tracker(spec.contender, spec.options(from));
	if (!tracker)
		return;
	const double us = 1e6 / engine::measure_tsc_hz(), overhead = engine::measure_tsc_overhead();
	Json at = Json::object();
	KeyColumn keys;
	std::vector<uint64_t> took;
	uint64_t all_ticks = 0, flows = 0;
	uint8_t results[conntrack::tracker_burst];
	for (uint64_t size = from; flows < to;) {
		size = std::min(size * 10, to);
		took.clear();
		took.reserve((size - flows) / burst + 1);
		uint64_t ticks = 0, before = flows;
		while (flows < size) {
			keys.clear();
			keys.add_flows(flows, std::min<uint64_t>(trial_call, size - flows));
			for (uint32_t i = 0; i < keys.size(); i += burst) {
				uint32_t n = std::min(burst, keys.size() - i);
				uint64_t start = engine::tsc_start();
				uint32_t nb_new = tracker->track(keys.at(i), n, seed, results);
				took.push_back(engine::tsc_stop() - start);
				ticks += took.back();
				if (nb_new != n)
					tracker.wrong("at " + std::to_string(flows + i) +
					              " flows a new key was not new, or had no room");
			}
			flows += keys.size();
		}
		if (tracker->flows() != flows)
			tracker.wrong("does not hold all flows");
		auto us_of = [&](double share) {
			return std::max(0.0, double(engine::quantile(took, share)) - overhead) * us;
		};
		double mean =
			(double(ticks) - overhead * double(took.size())) * us * 1e3 / double(flows - before);
		at[std::to_string(size)] = {{"insertNs", mean},
		                            {"p999Us", us_of(0.999)},
		                            {"p9999Us", us_of(0.9999)},
		                            {"slowestUs", us_of(1)},
		                            {"bytesPerFlow", double(tracker->bytes()) / double(flows)}};
		all_ticks += ticks;
	}
	// Everything is still there.
	std::mt19937_64 random(seed);
	Lookups there;
	for (uint32_t i = 0; i < trial_call; i++) {
		there.add(random() % flows, false, seed);
		there.add(random() % flows, true, seed);
	}
	time_lookups(tracker, there);
	const double noise_max_us =
		double(longest_gap(std::min(all_ticks, static_cast<uint64_t>(1e6 / us)))) * us;
	emit(NAMED(spec.contender, burst, at, noise_max_us));
}

} // namespace reframer::lab
