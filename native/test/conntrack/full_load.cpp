// load_percent keeps its promise: filled with random keys, a table takes `initial_flows` of them and
// neither refuses nor evicts one, whatever the load it was sized for.
#include "model.hpp"
#include "reframer/conntrack_shared.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using reframer::test::run_seed;

namespace {

constexpr uint64_t now_ns = 1'000'000'000;
constexpr uint32_t burst = 32;

conntrack_params params_of(uint64_t flows, uint32_t load, uint32_t flags, uint64_t seed)
{
	conntrack_params params;
	conntrack_default_params(&params);
	params.initial_flows = flows;
	params.max_flows = flows;
	params.load_percent = load;
	params.flags = flags;
	params.seed = seed;
	return params;
}

// Calls insert(keys, n) until there were `flows` keys.
template <typename Insert> void fill(uint64_t flows, uint64_t seed, Insert insert)
{
	std::mt19937_64 random(seed);
	uint64_t keys[2 * burst];
	for (uint64_t done = 0; done < flows;) {
		const auto n = static_cast<uint32_t>(std::min<uint64_t>(burst, flows - done));
		for (uint64_t &word : keys)
			word = random();
		insert(keys, n);
		done += n;
	}
}

conntrack_stats filled_alone(uint64_t flows, uint32_t load, uint32_t flags, uint64_t seed)
{
	const conntrack_params params = params_of(flows, load, flags, seed);
	conntrack_table *table = nullptr;
	REQUIRE(conntrack_create(&params, &table) == 0);
	fill(flows, seed, [&](const uint64_t *keys, uint32_t n) {
		void *states[burst];
		conntrack_find_or_insert_burst(table, keys, nullptr, n, now_ns, states, nullptr);
	});
	conntrack_stats stats;
	conntrack_get_stats(table, &stats);
	conntrack_free(table);
	return stats;
}

conntrack_stats filled_shared(uint64_t flows, uint32_t load, uint32_t flags, uint64_t seed)
{
	const conntrack_params params = params_of(flows, load, flags, seed);
	conntrack_shared *table = nullptr;
	REQUIRE(conntrack_shared_create(&params, &table) == 0);
	conntrack_thread *thread = conntrack_shared_thread_create(table);
	fill(flows, seed, [&](const uint64_t *keys, uint32_t n) {
		uint64_t states[burst] = {};
		uint8_t results[burst];
		conntrack_shared_find_or_insert_burst(thread, keys, nullptr, n, now_ns, states, results);
	});
	conntrack_stats stats;
	conntrack_shared_get_stats(table, &stats);
	conntrack_shared_thread_free(thread);
	conntrack_shared_free(table);
	return stats;
}

struct Size {
	uint64_t flows;
	int tables;
};
constexpr Size sizes[] = {{64, 200}, {1000, 200}, {65536, 10}, {1'000'000, 1}};

template <typename Filled> void promise_holds(Filled filled, uint32_t load, uint32_t flags)
{
	for (const Size &size : sizes) {
		for (int i = 0; i < size.tables; i++) {
			const uint64_t seed = run_seed() + 1 + static_cast<uint64_t>(i);
			CAPTURE(size.flows);
			CAPTURE(load);
			CAPTURE(seed);
			const conntrack_stats stats = filled(size.flows, load, flags, seed);
			REQUIRE(stats.refused == 0);
			REQUIRE(stats.evicted == 0);
			REQUIRE(stats.flows == size.flows);
		}
	}
}

} // namespace

TEST_CASE("a table of one thread takes all of initial_flows at every load_percent that it accepts")
{
	for (uint32_t load : {70u, 90u, 95u})
		promise_holds(filled_alone, load, CONNTRACK_FIXED_SIZE | CONNTRACK_NO_EVICTION);
	promise_holds(filled_alone, 95, CONNTRACK_FIXED_SIZE);
	promise_holds(filled_alone, 95, 0);
}

TEST_CASE("a shared table takes all of initial_flows at every load_percent that it accepts")
{
	promise_holds(filled_shared, 75, CONNTRACK_FIXED_SIZE | CONNTRACK_NO_EVICTION);
	promise_holds(filled_shared, 75, CONNTRACK_FIXED_SIZE);
	promise_holds(filled_shared, 95, CONNTRACK_NO_EVICTION);
}
