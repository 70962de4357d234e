// Bursts submitted ahead, through growth and beside a thread that asks for memory ahead.
#include "model.hpp"
#include "reframer/conntrack.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <deque>
#include <thread>

using reframer::test::run_seed;

namespace {

struct Key {
	uint64_t number, salt;
};

conntrack_table *make_table(uint32_t flags = 0)
{
	conntrack_params params;
	conntrack_default_params(&params);
	params.initial_flows = 64;
	params.flags = flags;
	params.seed = run_seed();
	conntrack_table *t = nullptr;
	REQUIRE(conntrack_create(&params, &t) == 0);
	return t;
}

} // namespace

TEST_CASE("bursts that were submitted ahead answer as if they had not been, while the table grows")
{
	CAPTURE(run_seed());
	conntrack_table *t = make_table();
	std::mt19937_64 random(run_seed());
	struct Burst {
		std::vector<Key> keys;
	};
	std::deque<Burst> waiting;
	std::map<uint64_t, uint64_t> model; // number: value
	uint64_t next_number = 0, next_value = 1;
	for (unsigned step = 0; step < 6000; step++) {
		if (waiting.size() < 4 && (waiting.empty() || random() % 2)) {
			Burst b;
			for (uint64_t n = random() % 80; n > 0; n--)
				b.keys.push_back(
					{next_number && random() % 2 ? random() % next_number : next_number++, 7});
			waiting.push_back(std::move(b));
			const std::vector<Key> &keys = waiting.back().keys;
			REQUIRE(conntrack_submit(t, keys.data(), nullptr, uint32_t(keys.size())) == 0);
			continue;
		}
		const std::vector<Key> keys = waiting.front().keys;
		std::vector<void *> states(keys.size());
		std::vector<uint8_t> results(keys.size());
		if (random() % 4 == 0) {
			int expected = 0;
			for (const Key &k : keys)
				expected += int(model.count(k.number));
			REQUIRE(conntrack_collect_found(t, CONNTRACK_NO_TIME, states.data()) == expected);
			for (size_t i = 0; i < keys.size(); i++)
				REQUIRE((states[i] != nullptr) == (model.count(keys[i].number) != 0));
		} else {
			REQUIRE(conntrack_collect(t, CONNTRACK_NO_TIME, states.data(), results.data()) ==
			        int(keys.size()));
			for (size_t i = 0; i < keys.size(); i++) {
				auto [flow, is_new] = model.emplace(keys[i].number, next_value);
				REQUIRE(bool(results[i] & CONNTRACK_NEW) == is_new);
				if (is_new)
					std::memcpy(states[i], &next_value, 8);
				next_value += is_new;
				REQUIRE(std::memcmp(states[i], &flow->second, 8) == 0);
			}
		}
		waiting.pop_front();
	}
	CHECK(model.size() > 30'000);
	conntrack_free(t);
}

TEST_CASE("submitting and collecting say what they cannot do")
{
	conntrack_table *t = make_table();
	std::vector<Key> keys(257, Key{1, 2});
	void *states[257];
	uint8_t results[257];
	CHECK(conntrack_collect(t, 0, states, results) == -EAGAIN);
	CHECK(conntrack_collect_found(t, 0, states) == -EAGAIN);
	CHECK(conntrack_submit(t, keys.data(), nullptr, 257) == -EINVAL);
	for (int i = 0; i < 4; i++)
		CHECK(conntrack_submit(t, keys.data(), nullptr, 256) == 0);
	CHECK(conntrack_submit(t, keys.data(), nullptr, 1) == -ENOBUFS);
	CHECK(conntrack_collect_found(t, 0, states) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(conntrack_collect(t, 0, states, results) == 256);
	CHECK(conntrack_collect(t, 0, states, results) == -EAGAIN);
	conntrack_free(t);
	t = make_table(CONNTRACK_NIC_HASH);
	CHECK(conntrack_submit(t, keys.data(), nullptr, 1) == -EINVAL);
	CHECK(conntrack_submit(t, keys.data(), nullptr, 0) == 0);
	CHECK(conntrack_collect(t, 0, states, results) == 0);
	conntrack_free(t);
}

TEST_CASE("another thread asks for memory ahead while the table grows")
{
	conntrack_table *t = make_table();
	std::atomic<bool> done = false;
	std::atomic<int> errors = 0;
	std::thread helper([&] {
		while (!done)
			errors += conntrack_prepare(t) != 0;
	});
	uint64_t wrong = 0;
	for (uint64_t i = 0; i < 200'000; i++) {
		const Key key{i, i};
		int is_new = 0;
		void *state = conntrack_find_or_insert(t, &key, nullptr, CONNTRACK_NO_TIME, &is_new);
		wrong += !state || !is_new;
		if (state)
			std::memcpy(state, &i, 8);
	}
	done = true;
	helper.join();
	for (uint64_t i = 0; i < 200'000; i++) {
		const Key key{i, i};
		void *state = conntrack_find(t, &key, nullptr, CONNTRACK_NO_TIME);
		wrong += !state || std::memcmp(state, &i, 8) != 0;
	}
	CHECK(wrong == 0);
	CHECK(errors == 0);
	conntrack_free(t);
}
