// What an attacker who chooses the keys can do: keys that collide in the CRC which the paper's
// tables place them by, and keys that collide in the NIC's hash where that places them.
#include "lab/conntrack/bench.hpp"
#include "lab/conntrack/trial.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <random>

namespace reframer::lab {

namespace {

using Clock = std::chrono::steady_clock;

// Inserts the keys, then looks up those that were tried, in random order.
void attack(const std::string &name, const std::string &workload, conntrack::Tracker &tracker,
            const KeyColumn &keys, unsigned rounds, uint64_t seed)
{
	const uint32_t flows = keys.size();
	Answers answers;
	// Room tells how far a table got; some spend a long search on each key that they refuse.
	uint32_t inserted = 0, tried = 0;
	const auto start = Clock::now();
	for (; tried < flows && Clock::now() - start < std::chrono::seconds(2);) {
		uint32_t n = std::min(trial_call, flows - tried);
		inserted += tracker.track(keys.at(tried), n, 7, answers.flags.data());
		tried += n;
	}
	std::vector<uint32_t> order(tried);
	std::iota(order.begin(), order.end(), 0u);
	std::mt19937_64 random(seed);
	std::shuffle(order.begin(), order.end(), random);
	KeyColumn asked;
	for (uint32_t i : order)
		asked.add_bytes(keys.at(i));
	std::vector<double> mops;
	for (unsigned round = 0; round < rounds; round++) {
		uint32_t hits = 0;
		const auto begin = Clock::now();
		each_call(tried, [&](uint32_t first, uint32_t n) {
			hits += tracker.find(asked.at(first), n, answers.values.data(), answers.flags.data());
		});
		mops.push_back(double(tried) / std::chrono::duration<double>(Clock::now() - begin).count() *
		               1e-6);
		if (hits != inserted)
			wrong_answer(name, "found " + std::to_string(hits) + " of " + std::to_string(inserted) +
			                       " keys");
	}
	emit_row({name, workload, flows, 1, tracker.depth(), false, double(tracker.bytes())}, mops,
	         seed, {{"refusedPercent", 100.0 * (tried - inserted) / tried}});
}

} // namespace

void bench_hostile(const std::vector<std::string> &contenders, uint32_t flows, uint32_t depth,
                   bool quick, uint64_t seed)
{
	const unsigned rounds = quick ? 5 : 11;
	const KeyColumn hostile = hostile_keys(flows, seed);
	conntrack::TrackerOptions options;
	options.flows = flows;
	options.seed = seed;
	options.depth = depth;
	for (const std::string &name : contenders)
		if (auto tracker = conntrack::make_tracker(name, options))
			attack(name, "hostile", *tracker, hostile, rounds, seed);
	KeyColumn ordinary;
	ordinary.add_flows(0, flows);
	for (const bool collide : {false, true}) {
		auto tracker = make_nic_tracker(flows, seed, depth);
		attack("burst-table-nic", collide ? "nic-hostile" : "nic", *tracker,
		       collide ? hostile : ordinary, rounds, seed);
	}
}

} // namespace reframer::lab
