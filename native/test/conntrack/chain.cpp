// Chains of functions that are added at run time, against the obvious map.
#include "model.hpp"
#include "reframer/conntrack_chain.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>

using reframer::test::run_seed;

namespace {

constexpr uint64_t second = 1'000'000'000;

struct Key {
	uint64_t number, salt;
};
struct Count {
	uint64_t runs, packets;
};
struct Ended {
	uint64_t flows = 0, packets = 0;
};

// Drops each third packet of a flow.
void drop_thirds(void *, const conntrack_run *run, void *slice)
{
	auto &seen = *static_cast<uint32_t *>(slice);
	for (uint32_t i = 0; i < run->count; i++)
		if (++seen % 3 == 0)
			run->verdicts[i] = 7;
}
void count(void *total, const conntrack_run *run, void *slice)
{
	auto &c = *static_cast<Count *>(slice);
	c.runs++;
	for (uint32_t i = 0; i < run->count; i++) {
		const bool passes = run->verdicts[i] == CONNTRACK_CHAIN_PASS;
		c.packets += passes;
		*static_cast<uint64_t *>(total) += passes;
	}
}
void ended(void *, const void *, void *, int) {}
void count_ended(void *context, const void *, void *slice, int reason)
{
	CHECK(reason == CONNTRACK_EXPIRED);
	auto &e = *static_cast<Ended *>(context);
	e.flows++;
	e.packets += static_cast<Count *>(slice)->packets;
}

conntrack_params params()
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.initial_flows = 64;
	p.seed = run_seed();
	return p;
}

} // namespace

TEST_CASE("a chain gives every function its slice of every flow, a burst ahead or not")
{
	CAPTURE(run_seed());
	std::mt19937_64 random(run_seed());
	for (const bool look_ahead : {false, true}) {
		const conntrack_params p = params();
		conntrack_chain *chain = nullptr;
		REQUIRE(conntrack_chain_create(&p, &chain) == 0);
		uint64_t total = 0;
		CHECK(conntrack_chain_add(chain, 4, drop_thirds, nullptr, nullptr) == 0);
		CHECK(conntrack_chain_add(chain, sizeof(Count), count, ended, &total) == 1);
		CHECK(conntrack_chain_block_bytes(chain) == 0);
		REQUIRE(conntrack_chain_start(chain) == 0);
		CHECK(conntrack_chain_offset(chain, 1) == 8);
		CHECK(conntrack_chain_block_bytes(chain) == 64);

		std::map<uint64_t, uint32_t> seen; // packets by flow
		std::map<uint64_t, uint64_t> passed;
		std::deque<std::vector<Key>> waiting;
		uint64_t expected_total = 0;
		auto process = [&] {
			const std::vector<Key> &keys = waiting.front();
			std::vector<void *> packets(keys.size());
			std::vector<uint8_t> verdicts(keys.size());
			REQUIRE(conntrack_chain_process(chain, second, packets.data(), verdicts.data()) ==
			        int(keys.size()));
			for (size_t i = 0; i < keys.size(); i++) {
				CHECK(reinterpret_cast<uintptr_t>(packets[i]) == keys[i].number);
				const bool drops = ++seen[keys[i].number] % 3 == 0;
				REQUIRE(verdicts[i] == (drops ? 7 : CONNTRACK_CHAIN_PASS));
				passed[keys[i].number] += !drops;
				expected_total += !drops;
			}
			waiting.pop_front();
		};
		for (int burst = 0; burst < 2000; burst++) {
			std::vector<Key> keys;
			std::vector<void *> packets;
			while (keys.size() < random() % CONNTRACK_CHAIN_BURST) {
				const uint64_t number = 1 + random() % 3000;
				for (uint64_t run = 1 + random() % 4; run && keys.size() < CONNTRACK_CHAIN_BURST;
				     run--) {
					keys.push_back({number, 1});
					packets.push_back(reinterpret_cast<void *>(number));
				}
			}
			REQUIRE(conntrack_chain_submit(chain, keys.data(), nullptr, packets.data(),
			                               uint32_t(keys.size()), second) == 0);
			waiting.push_back(std::move(keys));
			if (!look_ahead || waiting.size() == 2)
				process();
		}
		while (!waiting.empty())
			process();
		CHECK(total == expected_total);
		for (const auto &[number, packets] : passed) {
			const Key key = {number, 1};
			const auto *c = static_cast<const Count *>(conntrack_chain_find(chain, 1, &key));
			REQUIRE(c);
			CHECK(c->packets == packets);
		}
		const Key stranger = {999'999, 1};
		CHECK(conntrack_chain_find(chain, 1, &stranger) == nullptr);
		conntrack_chain_free(chain);
	}
}

TEST_CASE("flows of a chain end by themselves, and their function is told")
{
	conntrack_params p = params();
	std::fill_n(p.timeout_ns, CONNTRACK_NB_CLASSES, second);
	conntrack_chain *chain = nullptr;
	REQUIRE(conntrack_chain_create(&p, &chain) == 0);
	Ended over;
	uint64_t total = 0;
	CHECK(conntrack_chain_add(
			  chain, sizeof(Count),
			  [](void *, const conntrack_run *run, void *slice) {
				  static_cast<Count *>(slice)->packets += run->count;
			  },
			  count_ended, &over) == 0);
	REQUIRE(conntrack_chain_start(chain) == 0);
	uint64_t now = second;
	void *packets[32] = {};
	uint8_t verdicts[32];
	for (uint64_t number = 0; number < 3200; number += 32) {
		Key keys[32];
		for (uint64_t i = 0; i < 32; i++)
			keys[i] = {number + i, 2};
		REQUIRE(conntrack_chain_submit(chain, keys, nullptr, packets, 32, now) == 0);
		CHECK(conntrack_chain_process(chain, now, packets, verdicts) == 32);
		total += 32;
	}
	// A burst without a time sweeps nothing, and keeps no later one from it.
	REQUIRE(conntrack_chain_submit(chain, nullptr, nullptr, nullptr, 0, CONNTRACK_NO_TIME) == 0);
	CHECK(conntrack_chain_process(chain, CONNTRACK_NO_TIME, nullptr, nullptr) == 0);
	for (int i = 0; i < 4000; i++) {
		now += 1'000'000;
		REQUIRE(conntrack_chain_submit(chain, nullptr, nullptr, nullptr, 0, now) == 0);
		CHECK(conntrack_chain_process(chain, now, nullptr, nullptr) == 0);
	}
	conntrack_stats stats;
	conntrack_get_stats(conntrack_chain_table(chain), &stats);
	CHECK(stats.flows == 0);
	CHECK(over.flows == 3200);
	CHECK(over.packets == total);
	conntrack_chain_free(chain);
}

TEST_CASE("a chain refuses what it cannot do, and a full table drops new flows alone")
{
	conntrack_params p = params();
	p.flags = CONNTRACK_FIXED_SIZE | CONNTRACK_NO_EVICTION;
	p.max_flows = p.initial_flows;
	conntrack_chain *chain = nullptr;
	CHECK(conntrack_chain_create(nullptr, &chain) == -EINVAL);
	REQUIRE(conntrack_chain_create(&p, &chain) == 0);
	uint64_t total = 0;
	CHECK(conntrack_chain_start(chain) == -EINVAL); // no function
	CHECK(conntrack_chain_add(chain, 513, count, nullptr, &total) == -EINVAL);
	CHECK(conntrack_chain_add(chain, 16, nullptr, nullptr, &total) == -EINVAL);
	CHECK(conntrack_chain_add(chain, 16, count, nullptr, &total) == 0);
	CHECK(conntrack_chain_add(chain, 500, count, nullptr, &total) == -ENOSPC);
	Key keys[100];
	void *packets[100] = {};
	uint8_t verdicts[100];
	CHECK(conntrack_chain_submit(chain, keys, nullptr, packets, 1, second) == -EINVAL);
	REQUIRE(conntrack_chain_start(chain) == 0);
	CHECK(conntrack_chain_start(chain) == -EBUSY);
	CHECK(conntrack_chain_add(chain, 16, count, nullptr, &total) == -EBUSY);
	CHECK(conntrack_chain_offset(chain, 1) == -EINVAL);
	CHECK(conntrack_chain_process(chain, second, packets, verdicts) == -EAGAIN);
	CHECK(conntrack_chain_submit(chain, keys, nullptr, packets, 257, second) == -EINVAL);
	for (uint64_t i = 0; i < 100; i++)
		keys[i] = {i, 3};
	REQUIRE(conntrack_chain_submit(chain, keys, nullptr, packets, 100, second) == 0);
	REQUIRE(conntrack_chain_submit(chain, keys, nullptr, packets, 100, second) == 0);
	CHECK(conntrack_chain_submit(chain, keys, nullptr, packets, 1, second) == -ENOBUFS);
	for (int burst = 0; burst < 2; burst++) {
		CHECK(conntrack_chain_process(chain, second, packets, verdicts) == 100);
		CHECK(std::count(verdicts, verdicts + 100, CONNTRACK_CHAIN_PASS) == 64);
		CHECK(std::count(verdicts, verdicts + 100, CONNTRACK_CHAIN_NO_ROOM) == 36);
	}
	CHECK(total == 128);
	conntrack_chain_free(chain);
}
