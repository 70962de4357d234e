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
	double insert_ticks = 0, find_ticks = 0;
	uint32_t refused = 0;
};

// Inserts the keys one by one, then looks those up that were taken, in random order.
Outcome attack(const Contender &contender, const KeyColumn &keys, uint32_t rounds, uint64_t seed)
{
	Outcome out;
	std::vector<uint32_t> taken;
	uint64_t start = engine::tsc_start();
	for (uint32_t i = 0; i < keys.size(); i++) {
		uint8_t result = 0;
		contender->track(keys.at(i), 1, trial_state(i), &result);
		if (result == conntrack::Tracker::refused)
			out.refused++;
		else
			taken.push_back(i);
	}
	out.insert_ticks = double(engine::tsc_stop() - start) / keys.size();
	std::mt19937_64 random(seed);
	KeyColumn asked;
	std::vector<uint64_t> expected;
	Answers answers(keys.size());
	for (uint32_t n = 0; n < keys.size() && !taken.empty(); n++) {
		const uint32_t i = taken[random() % taken.size()];
		asked.add_bytes(keys.at(i));
		expected.push_back(trial_state(i));
	}
	uint64_t best = UINT64_MAX;
	for (uint32_t r = 0; r < rounds; r++) {
		start = engine::tsc_start();
		const uint32_t nb =
			contender->find(asked.at(0), asked.size(), answers.values.data(), answers.flags.data());
		best = std::min(best, engine::tsc_stop() - start);
		if (nb != asked.size() ||
		    !std::equal(expected.begin(), expected.end(), answers.values.begin()))
			contender.wrong("a key has another state than its own");
	}
	out.find_ticks = double(best) / std::max(1u, asked.size());
	return out;
}

} // namespace

void run_conntrack_hostile(const Json &json)
{
	SpecReader in(json, "");
	ContenderSpec spec;
	spec.read(in);
	spec.read_depth(in);
	const bool by_nic = in.choice("attack", false, {{"crc", false}, {"nic", true}});
	// Above a few thousand the tsl maps double again and again under this attack.
	const auto flows = in.integer<uint32_t>("flows", 2048, 32, 4096);
	const uint64_t others = in.integer("others", 100'000, 1000, 1 << 24);
	const auto rounds = in.integer<uint32_t>("rounds", 20, 1, 1000);
	if (by_nic && spec.contender != "burst-table")
		in.fail("attack", "nic is for contender burst-table");
	in.finish();
	conntrack::TrackerOptions options = spec.options((others + flows) * 2);
	options.updates = true;
	Outcome outcomes[2]; // of ordinary keys, and of the attacker's
	for (Outcome &outcome : outcomes) {
		const Contender contender =
			by_nic ? Contender(spec.contender,
		                       make_nic_tracker(options.flows, options.seed, options.depth))
				   : Contender(spec.contender, options);
		if (!contender)
			return;
		KeyColumn ordinary;
		ordinary.add_flows(others, flows);
		contender.fill(0, others);
		outcome =
			attack(contender, &outcome == outcomes ? ordinary : hostile_keys(flows, spec.seed),
		           rounds, spec.seed);
	}
	const auto &[usual, attacked] = outcomes;
	const double ns = 1e9 / engine::measure_tsc_hz();
	emit({{"contender", spec.contender},
	      {"attack", by_nic ? "nic" : "crc"},
	      {"ordinaryNs", usual.find_ticks * ns},
	      {"hostileNs", attacked.find_ticks * ns},
	      {"slowdown", attacked.find_ticks / usual.find_ticks},
	      {"insertSlowdown", attacked.insert_ticks / usual.insert_ticks},
	      {"refusedPercent", 100.0 * attacked.refused / flows}});
}

} // namespace reframer::lab
