// Every tracker against the model, with keys of both sizes.
#include "conntrack/contenders/tracker.hpp"
#include "model.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace reframer::conntrack;
using reframer::test::FlowModel;
using reframer::test::run_seed;

namespace {

std::string key_of(uint64_t number, uint32_t key_size)
{
	std::string key(key_size, '\0');
	std::memcpy(key.data(), &number, 8);
	// Not the same word twice: Cuckoo++'s two CRC chains would then differ by a constant only.
	uint64_t other = number * 0xd6e8feb86659fd93u ^ number >> 7;
	std::memcpy(key.data() + key_size - 8, &other, 8);
	return key;
}

void run_differential(Tracker &tracker, uint32_t key_size, uint64_t nb_keys)
{
	FlowModel model({0});
	std::mt19937_64 random(run_seed());
	for (unsigned step = 0; step < 3000; step++) {
		auto n = uint32_t(1 + random() % 200);
		std::vector<uint64_t> numbers(n), values(n);
		std::vector<uint8_t> results(n);
		std::string keys;
		for (uint64_t &number : numbers) {
			number = random() % (random() % 2 ? nb_keys : nb_keys / 50);
			keys += key_of(number, key_size);
		}
		const auto *bytes = reinterpret_cast<const uint8_t *>(keys.data());
		unsigned operation = random() % 8;
		if (operation < 4) {
			uint32_t inserted = 0;
			std::vector<uint8_t> expected(n);
			for (uint32_t i = 0; i < n; i++) {
				std::string key = key_of(numbers[i], key_size);
				auto *flow = model.find(key);
				expected[i] = flow == nullptr;
				inserted += expected[i];
				if (flow)
					flow->value = step;
				else
					model.insert(key, step);
			}
			REQUIRE(tracker.track(bytes, n, step, results.data()) == inserted);
			REQUIRE(results == expected);
		} else if (operation < 7) {
			uint32_t expected = 0;
			uint32_t found = tracker.find(bytes, n, values.data(), results.data());
			for (uint32_t i = 0; i < n; i++) {
				auto *flow = model.find(key_of(numbers[i], key_size));
				expected += flow != nullptr;
				REQUIRE(results[i] == (flow ? 1 : 0));
				if (flow)
					REQUIRE(values[i] == flow->value);
			}
			REQUIRE(found == expected);
		} else {
			uint32_t expected = 0;
			for (uint64_t number : numbers)
				expected += model.remove(key_of(number, key_size));
			REQUIRE(tracker.remove(bytes, n) == expected);
		}
		REQUIRE(tracker.flows() == model.size());
	}
	CHECK(tracker.bytes() > 0);
}

} // namespace

TEST_CASE("every tracker does what the model does, however many keys it takes at once")
{
	for (const std::string &name : tracker_names()) {
		// Depths share nothing with key sizes: not every pair is worth its time.
		for (auto [key_size, depth] : {std::pair{16u, 1u}, {16u, 128u}, {40u, 32u}}) {
			CAPTURE(name);
			CAPTURE(depth);
			CAPTURE(key_size);
			CAPTURE(run_seed());
			TrackerOptions options;
			options.flows = 8000;
			options.key_size = key_size;
			options.depth = depth;
			options.seed = run_seed();
			for (auto [updates, look_ahead] :
			     {std::pair{false, false}, {true, false}, {true, true}}) {
				// DPDK 22.11 loses slots when data is overwritten through a second insert.
				if (!updates && name.starts_with("rte-hash"))
					continue;
				options.updates = updates;
				options.look_ahead = look_ahead;
				std::unique_ptr<Tracker> tracker = make_tracker(name, options);
				if (!tracker) {
					MESSAGE("skipped: DPDK does not start here");
					continue;
				}
				run_differential(*tracker, key_size, 7000);
			}
		}
	}
}

TEST_CASE("Cuckoo++ fills to 95 % by moving entries, and loses none")
{
	TrackerOptions options;
	options.flows = 1 << 14;
	options.power_of_two = true;
	for (const char *name : {"cuckoopp", "cuckoopp-burst"}) {
		std::unique_ptr<Tracker> tracker = make_tracker(name, options);
		uint64_t nb = options.flows * 95 / 100;
		uint8_t result;
		for (uint64_t i = 0; i < nb; i++) {
			std::string key = key_of(i * 0x9e3779b97f4a7c15u, 16);
			REQUIRE(tracker->track(reinterpret_cast<const uint8_t *>(key.data()), 1, i, &result) ==
			        1);
		}
		for (uint64_t i = 0; i < nb; i++) {
			std::string key = key_of(i * 0x9e3779b97f4a7c15u, 16);
			uint64_t value = 0;
			REQUIRE(tracker->find(reinterpret_cast<const uint8_t *>(key.data()), 1, &value,
			                      &result) == 1);
			REQUIRE(value == i);
		}
	}
}

TEST_CASE("one depth for all: who takes several keys takes as many as asked, or as its library can")
{
	for (const std::string &name : tracker_names()) {
		CAPTURE(name);
		const bool several = name == "burst-table" || name.ends_with("-burst");
		for (uint32_t depth : {1u, 32u, 64u, 128u, 256u}) {
			CAPTURE(depth);
			TrackerOptions options;
			options.flows = 1000;
			options.depth = depth;
			const std::unique_ptr<Tracker> tracker = make_tracker(name, options);
			if (!tracker) {
				MESSAGE("skipped: DPDK does not start here");
				continue;
			}
			uint32_t expected = several ? depth : 1;
			if (name == "rte-hash-burst")
				expected = std::min(depth, 64u); // RTE_HASH_LOOKUP_BULK_MAX
			if (name == "hopscotch-burst" || name == "robin-burst")
				expected = 1; // nothing to prefetch with
			CHECK(tracker->depth() == expected);
		}
	}
	for (uint32_t depth : {0u, tracker_max_depth + 1}) {
		TrackerOptions options;
		options.depth = depth;
		CHECK_THROWS_AS(make_tracker("cuckoopp-burst", options), std::invalid_argument);
	}
}

TEST_CASE("a key that comes twice in a burst is new once")
{
	for (const std::string &name : tracker_names())
		for (bool updates : {false, true}) {
			// DPDK 22.11 loses slots when data is overwritten through a second insert.
			if (!updates && name.starts_with("rte-hash"))
				continue;
			CAPTURE(name);
			TrackerOptions options;
			options.flows = 1000;
			options.depth = 128;
			options.updates = updates;
			const std::unique_ptr<Tracker> tracker = make_tracker(name, options);
			if (!tracker)
				continue;
			std::string keys;
			for (uint64_t i = 0; i < 128; i++)
				keys += key_of(i % 50, 16);
			std::vector<uint8_t> results(128);
			const auto *bytes = reinterpret_cast<const uint8_t *>(keys.data());
			CHECK(tracker->track(bytes, 128, 1, results.data()) == 50);
			CHECK(std::count(results.begin(), results.begin() + 50, 1) == 50);
			CHECK(std::count(results.begin(), results.end(), 1) == 50);
			CHECK(tracker->flows() == 50);
		}
}
