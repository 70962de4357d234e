// Job `conntrack-hostile`: keys that an attacker makes so that a fixed hash sees them as one.
//
// spec   {"contender": "chaining", "attack": "crc", "flows": 2048, "others": 100000,
//         "rounds": 20, "depth": 32, "seed": 1}
//        attack  crc: keys whose CRC32C is the same from either end, which is every hash that the
//                tables it is compared with use, bucket and tag alike
//                nic: keys with one NIC hash, in a burst table placed by it (contender burst-table)
//        flows   keys of the attacker; others: ordinary flows in the same table
//        depth   keys that the contender takes at once in lookups
// record {"contender","attack","ordinaryNs","hostileNs","slowdown","insertSlowdown","refusedPercent"}
//        ns of a lookup that hits, among as many ordinary keys and among the attacker's; slowdown is
//        their ratio, insertSlowdown that of inserting them; refused: hostile keys without room.
#include "lab/conntrack/trial.hpp"

#include <algorithm>

namespace reframer::lab {

namespace {

struct Outcome {
	double insert_ticks, find_ticks;
	uint32_t refused;
};

// Inserts the keys one by one, then looks those up that were taken, in random order.
Outcome attack(conntrack::Tracker &tracker, const std::string &contender, const KeyColumn &keys,
               uint32_t rounds, uint64_t seed)
{
	Outcome out{0, 0, 0};
	std::vector<uint32_t> taken;
	uint64_t start = engine::tsc_start();
	for (uint32_t i = 0; i < keys.size(); i++) {
		uint8_t result = 0;
		tracker.track(keys.at(i), 1, trial_state(i), &result);
		if (result == conntrack::Tracker::refused)
			out.refused++;
		else
			taken.push_back(i);
	}
	out.insert_ticks = double(engine::tsc_stop() - start) / keys.size();
	std::mt19937_64 random(seed);
	KeyColumn asked;
	std::vector<uint64_t> expected, values(keys.size());
	std::vector<uint8_t> found(keys.size());
	for (uint32_t n = 0; n < keys.size() && !taken.empty(); n++) {
		uint32_t i = taken[random() % taken.size()];
		asked.add_bytes(keys.at(i));
		expected.push_back(trial_state(i));
	}
	uint64_t best = UINT64_MAX;
	for (uint32_t r = 0; r < rounds; r++) {
		start = engine::tsc_start();
		uint32_t nb = tracker.find(asked.at(0), asked.size(), values.data(), found.data());
		best = std::min(best, engine::tsc_stop() - start);
		if (nb != asked.size() || !std::equal(expected.begin(), expected.end(), values.begin()))
			wrong_answer(contender, "a key has another state than its own");
	}
	out.find_ticks = double(best) / std::max(1u, asked.size());
	return out;
}

} // namespace

void run_conntrack_hostile(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::string contender = reader.text("contender", "burst-table");
	const bool by_nic = reader.choice("attack", false, {{"crc", false}, {"nic", true}});
	// Above a few thousand the tsl maps double again and again under this attack.
	const auto flows = static_cast<uint32_t>(reader.integer("flows", 2048, 32, 4096));
	const uint64_t others = reader.integer("others", 100'000, 1000, 1 << 24);
	const auto rounds = static_cast<uint32_t>(reader.integer("rounds", 20, 1, 1000));
	const uint64_t seed = reader.integer("seed", 1, 0, UINT64_MAX / 4096);
	conntrack::TrackerOptions options;
	options.depth = static_cast<uint32_t>(
		reader.integer("depth", conntrack::tracker_burst, 1, conntrack::tracker_max_depth));
	reader.finish();
	if (by_nic && contender != "burst-table")
		reader.fail("attack", "nic is for contender burst-table");
	const KeyColumn hostile = hostile_keys(flows, seed);
	KeyColumn ordinary;
	for (uint32_t i = 0; i < flows; i++)
		ordinary.add(others + i);
	options.flows = (others + flows) * 2;
	options.seed = seed + 1;
	options.updates = true;
	auto tracker_with = [&](const KeyColumn &keys, Outcome &out) {
		auto tracker = by_nic ? make_nic_tracker(options.flows, options.seed, options.depth)
		                      : open_contender(contender, options);
		if (!tracker)
			return false;
		fill_flows(*tracker, contender, 0, others);
		out = attack(*tracker, contender, keys, rounds, seed);
		return true;
	};
	Outcome usual, attacked;
	if (!tracker_with(ordinary, usual) || !tracker_with(hostile, attacked))
		return;
	const double ns = 1e9 / engine::measure_tsc_hz();
	emit({{"contender", contender},
	      {"attack", by_nic ? "nic" : "crc"},
	      {"ordinaryNs", usual.find_ticks * ns},
	      {"hostileNs", attacked.find_ticks * ns},
	      {"slowdown", attacked.find_ticks / usual.find_ticks},
	      {"insertSlowdown", attacked.insert_ticks / usual.insert_ticks},
	      {"refusedPercent", 100.0 * attacked.refused / flows}});
}

} // namespace reframer::lab
