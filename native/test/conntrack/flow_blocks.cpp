// Flows whose ends lie beside a table: corners that sequences of single packets do not reach.
#include "conntrack/expiry/timed_tracker.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

using namespace reframer::conntrack;

TEST_CASE("a flow whose block another takes in the same burst comes back once, not once a packet")
{
	constexpr uint32_t flows = 64, key_size = 16;
	TimedOptions options;
	options.tracker.flows = flows;
	options.expiry = Expiry::lazy;
	options.timeout_ticks = 10;
	TrackerOptions below = options.tracker;
	below.flows = 4 * flows;
	const auto tracker = make_flow_blocks(make_tracker("chaining", below), options);
	const auto keys_of = [](const std::vector<uint64_t> &numbers) {
		std::vector<uint8_t> keys(numbers.size() * key_size);
		for (size_t i = 0; i < numbers.size(); i++)
			std::memcpy(&keys[i * key_size], &numbers[i], sizeof(numbers[i]));
		return keys;
	};
	uint8_t results[flows];
	for (uint64_t flow = 0; flow < flows; flow++)
		REQUIRE(tracker->track(keys_of({flow}).data(), 1, 1, 0, results) == 1);

	// All are over. The new flow finds no block free, and takes the dead one that `old` was found to
	// have; which that is, is the table's choice, so every flow gets its turn.
	uint64_t tick = 1, next = 1000;
	for (uint64_t old = 0; old < flows; old++) {
		tick += 100;
		for (uint64_t flow = 0; flow < flows; flow++)
			tracker->track(keys_of({flow}).data(), 1, tick, 0, results);
		REQUIRE(tracker->residents() <= flows);
		tick += 100;
		CAPTURE(old);
		CHECK(tracker->track(keys_of({next++, old, old}).data(), 3, tick, 7, results) == 2);
		CHECK(results[0] == 1);
		CHECK(results[1] == 1);
		CHECK(results[2] == 0);
		uint64_t value = 0;
		uint8_t found = 0;
		CHECK(tracker->find(keys_of({old}).data(), 1, tick, &value, &found) == 1);
		CHECK(value == 7);
	}
}
