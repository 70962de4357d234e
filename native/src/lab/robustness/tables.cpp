// Job `robustness-tables`: every flow tracker fed with keys that an attacker chose.
//
// spec   {"contender": NAME, "keys": "random"|"colliding", "flows": 4000, "seed": 1, "rounds": 9}
// record {"contender","keys","flows","nsPerInsert","nsPerFind" (medians of the rounds), "refused",
//         "bytesPerFlow"}
//
// Colliding keys agree in the low 16 bits of the public, unseeded CRC that most trackers place keys
// by: whoever knows the table finds 4000 of them in a second. Trackers whose hash has a seed are
// given the same keys; to them they are as good as random, which is what is to be shown.
#include "conntrack/contenders/key_words.hpp"
#include "conntrack/contenders/tracker.hpp"
#include "jobs/job.hpp"
#include "jobs/known_word.hpp"
#include "measure/median.hpp"
#include "measure/tsc.hpp"

#include <algorithm>
#include <random>

namespace reframer::lab {

namespace {

constexpr uint32_t key_size = 16, colliding_bits = 16;

std::vector<uint8_t> make_keys(uint64_t nb, bool colliding, uint64_t seed)
{
	std::mt19937_64 random(seed);
	std::vector<uint8_t> keys(nb * key_size);
	for (uint64_t i = 0; i < nb;) {
		uint64_t words[2] = {random(), 0};
		// The last word is a port and a protocol that an attacker is free to count through.
		for (uint64_t tries = 0; tries < (1u << 22); tries++) {
			words[1] = tries;
			std::memcpy(&keys[i * key_size], words, key_size);
			if (!colliding ||
			    (conntrack::crc_hash(conntrack::KeyWords<key_size>::load(&keys[i * key_size])) &
			     ((1u << colliding_bits) - 1)) == 0) {
				i++;
				break;
			}
		}
	}
	return keys;
}

} // namespace

void run_robustness_tables(const Json &spec)
{
	SpecReader in(spec, "");
	const std::string name = in.text("contender", "burst-table");
	const bool colliding = in.choice("keys", false, {{"random", false}, {"colliding", true}});
	const uint64_t flows = in.integer("flows", 4000, 32, 20'000);
	const uint64_t seed = in.integer("seed", 1, 0, 1ull << 53);
	const uint64_t rounds = in.integer("rounds", 9, 1, 1000);
	check_known(in, "contender", name, conntrack::tracker_names());
	in.finish();

	const std::vector<uint8_t> keys = make_keys(flows, colliding, seed);
	const double ns = 1e9 / engine::measure_tsc_hz();
	std::vector<double> insert, find;
	uint64_t refused = 0;
	size_t bytes = 0;
	std::vector<uint8_t> results(flows);
	std::vector<uint64_t> values(flows);
	for (uint64_t round = 0; round <= rounds; round++) { // the first warms up
		conntrack::TrackerOptions options;
		options.flows = flows * 4; // far from full: only the choice of keys can hurt
		options.seed = seed + 1;
		options.updates = true;
		const auto tracker = conntrack::make_tracker(name, options);
		if (!tracker)
			throw JobError("not-supported", name + " does not start here", 3);
		const uint64_t start = engine::tsc_start();
		for (uint64_t i = 0; i < flows; i += conntrack::tracker_burst)
			tracker->track(&keys[i * key_size],
			               uint32_t(std::min<uint64_t>(conntrack::tracker_burst, flows - i)), 1,
			               &results[i]);
		const uint64_t inserted = engine::tsc_stop();
		uint64_t found = 0;
		for (uint64_t i = 0; i < flows; i += conntrack::tracker_burst)
			found +=
				tracker->find(&keys[i * key_size],
			                  uint32_t(std::min<uint64_t>(conntrack::tracker_burst, flows - i)),
			                  &values[i], &results[i]);
		const uint64_t end = engine::tsc_stop();
		refused = flows - found;
		bytes = tracker->bytes();
		if (found != tracker->flows())
			throw JobError("wrong-answer", name + " does not find what it holds");
		if (round > 0) {
			insert.push_back(double(inserted - start) * ns / double(flows));
			find.push_back(double(end - inserted) * ns / double(flows));
		}
	}
	emit({{"contender", name},
	      {"keys", colliding ? "colliding" : "random"},
	      {"flows", flows},
	      {"nsPerInsert", engine::median(insert)},
	      {"nsPerFind", engine::median(find)},
	      {"refused", refused},
	      {"bytesPerFlow", double(bytes) / double(flows)},
	      {"seed", seed}});
}

} // namespace reframer::lab
