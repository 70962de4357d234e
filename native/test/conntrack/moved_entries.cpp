// Entries that move to make room while a call is under way: pointers lead to their own flows, and what
// is dead stays dead.
#include "burst_table_fixture.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>

using namespace reframer::test;

namespace {

constexpr uint64_t ms = 1'000'000;

conntrack_params nearly_full(uint64_t flows, uint32_t flags)
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.flags = CONNTRACK_FIXED_SIZE | flags;
	p.initial_flows = flows;
	p.load_percent = 95;
	p.seed = run_seed();
	return p;
}

} // namespace

TEST_CASE("a long call that fills a table: each pointer leads to its own flow, and none is evicted")
{
	for (const uint32_t key_size : {16u, 40u})
		for (const uint32_t state_size : {8u, 64u}) {
			CAPTURE(key_size);
			CAPTURE(state_size);
			conntrack_params params = nearly_full(1000, 0);
			params.key_size = key_size;
			params.state_size = state_size;
			conntrack_table *t = nullptr;
			REQUIRE(conntrack_create(&params, &t) == 0);
			// 500 flows that may be evicted for others, then many more than there is room for.
			constexpr uint32_t nb_old = 500, nb_new = 3000;
			std::mt19937_64 random(run_seed());
			std::vector<uint64_t> keys(size_t{nb_old + nb_new} * key_size / 8);
			for (uint64_t &word : keys)
				word = random();
			const auto key = [&](uint32_t i) { return keys.data() + size_t{i} * key_size / 8; };
			std::vector<void *> states(nb_new);
			REQUIRE(conntrack_find_or_insert_burst(t, key(0), nullptr, nb_old, 0, states.data(),
			                                       nullptr) == nb_old);
			const uint32_t found = conntrack_find_or_insert_burst(t, key(nb_old), nullptr, nb_new,
			                                                      0, states.data(), nullptr);
			uint32_t there = 0, strange = 0;
			std::set<void *> places;
			for (uint32_t i = 0; i < nb_new; i++) {
				if (!states[i])
					continue;
				there++;
				strange +=
					conntrack_find(t, key(nb_old + i), nullptr, CONNTRACK_NO_TIME) != states[i];
				places.insert(states[i]);
			}
			CHECK(strange == 0);
			CHECK(places.size() == there);
			CHECK(found == there);
			CHECK(there > 700);
			conntrack_stats stats;
			conntrack_get_stats(t, &stats);
			CHECK(stats.evicted > 200);
			CHECK(stats.evicted <= nb_old);
			conntrack_free(t);
		}
}

TEST_CASE("a long call tells directions right while entries move")
{
	constexpr uint32_t nb_flows = 3700, nb_known = 1500;
	std::mt19937_64 random(run_seed());
	uint32_t wrong = 0;
	for (int round = 0; round < 10; round++) {
		conntrack_params params = nearly_full(4000, CONNTRACK_SYMMETRIC);
		params.seed += static_cast<uint64_t>(round);
		conntrack_table *t = nullptr;
		REQUIRE(conntrack_create(&params, &t) == 0);
		const auto packet = [&](uint32_t flow, bool back) {
			std::string key(16, '\0');
			uint8_t a[4], b[4];
			const uint32_t low = flow * 2 + 1, high = ~low;
			std::memcpy(a, flow % 2 ? &low : &high, 4);
			std::memcpy(b, flow % 2 ? &high : &low, 4);
			conntrack_key_ipv4(key.data(), back ? b : a, back ? a : b, 1, 1, 6);
			return key;
		};
		std::vector<void *> states(nb_flows);
		std::vector<uint8_t> results(nb_flows);
		std::string keys;
		for (uint32_t flow = 0; flow < nb_known; flow++)
			keys += packet(flow, false);
		REQUIRE(conntrack_find_or_insert_burst(t, keys.data(), nullptr, nb_known, 0, states.data(),
		                                       results.data()) == nb_known);
		// All of them once more the other way, new ones among them.
		std::vector<uint32_t> flows(nb_flows);
		std::iota(flows.begin(), flows.end(), 0u);
		std::shuffle(flows.begin(), flows.end(), random);
		keys.clear();
		for (const uint32_t flow : flows)
			keys += packet(flow, true);
		REQUIRE(conntrack_find_or_insert_burst(t, keys.data(), nullptr, nb_flows, 0, states.data(),
		                                       results.data()) == nb_flows);
		for (uint32_t i = 0; i < nb_flows; i++)
			wrong += results[i] != (flows[i] < nb_known ? CONNTRACK_REPLY : CONNTRACK_NEW);
		conntrack_free(t);
	}
	CHECK(wrong == 0);
}

TEST_CASE("a dead flow that is moved to make room stays dead, however long its timeout was")
{
	std::mt19937_64 random(run_seed());
	using Keys = std::vector<std::array<uint64_t, 2>>;
	uint32_t alive = 0;
	for (uint64_t round = 0; round < 10; round++) {
		conntrack_params params = nearly_full(4000, CONNTRACK_NO_EVICTION);
		params.seed += round;
		params.tick_ns = ms;
		params.timeout_ns[0] = 20'000 * ms; // more than 16 bits of ticks reach at once
		conntrack_table *t = nullptr;
		REQUIRE(conntrack_create(&params, &t) == 0);
		const auto insert = [&](uint32_t n, uint64_t tick) {
			Keys keys(n);
			for (auto &key : keys) {
				key = {random(), random()};
				conntrack_find_or_insert(t, key.data(), nullptr, tick * ms, nullptr);
			}
			return keys;
		};
		// No sweep comes between tick 21,384, when their deadline comes first, and their end at 25,001.
		const uint64_t stranger[2] = {1, 2};
		Keys dead;
		for (uint64_t tick = 0; tick <= 26'000; tick += 1000) {
			CHECK(conntrack_find(t, stranger, nullptr, tick * ms) == nullptr);
			if (tick == 5000)
				dead = insert(800, tick);
			if (tick == 21'000)
				insert(3150, tick);
		}
		conntrack_stats stats;
		conntrack_get_stats(t, &stats);
		REQUIRE(stats.flows == 3950);
		// Each takes out what is dead in its own two lines, and moves what lies behind them.
		insert(600, 26'000);
		for (const auto &key : dead)
			alive += conntrack_find(t, key.data(), nullptr, 26'000 * ms) != nullptr;
		conntrack_free(t);
	}
	CHECK(alive == 0);
}
