// The burst table against the model, through the C interface.
#include "burst_table_fixture.hpp"

#include <set>

using namespace reframer::test;

namespace {

void run_differential(const Setup &setup, unsigned nb_steps)
{
	Fixture f(setup);
	FlowModel model(f.timeouts());
	uint64_t now = 123456 * tick_ns, next_value = 1;
	for (unsigned step = 0; step < nb_steps; step++) {
		if (f.random() % 4 == 0)
			now += f.random() % (setup.largest_step + 1) * tick_ns;
		model.advance(now / tick_ns);
		auto n = uint32_t(1 + f.random() % setup.burst);
		std::vector<uint64_t> numbers(n);
		std::string keys;
		// Half of the keys from a small set, so that keys repeat inside a burst.
		for (uint64_t &number : numbers) {
			number = f.random() % (f.random() % 2 ? setup.nb_keys : setup.nb_keys / 20);
			keys += f.key(number);
		}
		std::vector<uint64_t> own = f.digests(numbers, keys);
		const uint64_t *digests = own.data();
		if (!(setup.flags & CONNTRACK_NIC_HASH) && f.random() % 2)
			digests = nullptr;
		else if (f.random() % 2)
			conntrack_prefetch_burst(f.table, digests, n);
		std::vector<void *> states(n);
		std::vector<uint8_t> results(n);
		unsigned operation = f.random() % 10;
		if (operation < 6) {
			std::vector<uint32_t> nic;
			for (uint64_t number : numbers)
				nic.push_back(f.nic_hash(number));
			if (n <= 256 && f.random() % 4 == 0) {
				REQUIRE(conntrack_submit(f.table, keys.data(), nic.data(), n) == 0);
				REQUIRE(conntrack_collect(f.table, now, states.data(), results.data()) == int(n));
			} else {
				REQUIRE(conntrack_find_or_insert_burst(f.table, keys.data(), digests, n, now,
				                                       states.data(), results.data()) == n);
			}
			for (uint32_t i = 0; i < n; i++) {
				std::string key = f.key(numbers[i]);
				auto *flow = model.find(key);
				REQUIRE((results[i] & CONNTRACK_NEW) == (flow ? 0 : CONNTRACK_NEW));
				uint64_t value;
				std::memcpy(&value, states[i], 8);
				if (!flow) {
					REQUIRE(value == 0);
					model.insert(key, next_value);
					std::memcpy(states[i], &next_value, 8);
					next_value++;
				} else {
					REQUIRE(value == flow->value);
				}
				if (f.random() % 8 == 0) {
					auto c = unsigned(f.random() % CONNTRACK_NB_CLASSES);
					REQUIRE(conntrack_set_class(f.table, states[i], c, now) == 0);
					model.set_class(key, c);
				}
			}
		} else if (operation < 8) {
			uint32_t expected = 0;
			uint32_t found =
				conntrack_find_burst(f.table, keys.data(), digests, n, now, states.data());
			for (uint32_t i = 0; i < n; i++) {
				auto *flow = model.find(f.key(numbers[i]));
				expected += flow != nullptr;
				REQUIRE((states[i] != nullptr) == (flow != nullptr));
				if (flow)
					REQUIRE(std::memcmp(states[i], &flow->value, 8) == 0);
			}
			REQUIRE(found == expected);
		} else if (operation < 9) {
			uint32_t expected = 0;
			for (uint64_t number : numbers)
				expected += model.remove(f.key(number));
			REQUIRE(conntrack_remove_burst(f.table, keys.data(), digests, n, now) == expected);
		} else {
			conntrack_expire(f.table, now, uint32_t(f.random() % 64));
		}
		if (step % 512 == 511)
			REQUIRE(f.live(now) == model.live());
	}
	REQUIRE(f.live(now) == model.live());
	// Nothing is lost from the books: sweep all, then count.
	conntrack_expire(f.table, now, UINT32_MAX);
	conntrack_stats stats;
	conntrack_get_stats(f.table, &stats);
	CHECK(stats.flows == model.live().size());
	CHECK(stats.inserted - stats.removed - stats.expired - stats.evicted == stats.flows);
	CHECK(stats.evicted == 0);
	CHECK(f.removed[CONNTRACK_REMOVED] == (setup.silent ? 0 : stats.removed));
	CHECK(f.removed[CONNTRACK_EXPIRED] == (setup.silent ? 0 : stats.expired));
	for (const auto &[key, value] : model.live())
		model.remove(key);
}

} // namespace

TEST_CASE("the burst table does what the model does")
{
	const Setup setups[] = {
		{.name = "ipv4"},
		{.name = "ipv6", .key_size = 40},
		{.name = "ipv4, 64 bytes of state", .state_size = 64},
		{.name = "ipv6, 64 bytes of state", .key_size = 40, .state_size = 64},
		{.name = "ipv4, 24 bytes of state", .state_size = 24},
		{.name = "ipv4, a block of three lines", .state_size = 192},
		{.name = "ipv6, the largest block", .key_size = 40, .state_size = 512},
		{.name = "ipv6, 24 bytes of state", .key_size = 40, .state_size = 24},
		{.name = "nic hash, 16 bytes of state",
	     .state_size = 16,
	     .flags = CONNTRACK_NIC_HASH,
	     .nb_groups = 4},
		{.name = "ipv6, nic hash, groups",
	     .key_size = 40,
	     .flags = CONNTRACK_NIC_HASH,
	     .nb_groups = 4},
		{.name = "ipv6, 16 bytes of state, many keys",
	     .key_size = 40,
	     .state_size = 16,
	     .nb_keys = 40000,
	     .largest_step = 4},
		{.name = "nic hash, one value, 64 bytes of state",
	     .state_size = 64,
	     .flags = CONNTRACK_NIC_HASH,
	     .nic_bits = 0,
	     .largest_step = 10},
		{.name = "longest bursts", .nb_keys = 20000, .largest_step = 10, .burst = 3000},
		{.name = "many keys", .nb_keys = 60000, .largest_step = 4},
		{.name = "long bursts", .nb_keys = 20000, .largest_step = 10, .burst = 700},
		{.name = "nic hash", .flags = CONNTRACK_NIC_HASH},
		{.name = "nic hash, groups",
	     .flags = CONNTRACK_NIC_HASH,
	     .nb_groups = 16,
	     .nb_keys = 20000,
	     .largest_step = 8},
		{.name = "nic hash, 6 bits",
	     .flags = CONNTRACK_NIC_HASH,
	     .nic_bits = 6,
	     .nb_keys = 6000,
	     .largest_step = 10},
		{.name = "nic hash, one value",
	     .flags = CONNTRACK_NIC_HASH,
	     .nic_bits = 0,
	     .largest_step = 10},
		{.name = "clock in leaps", .largest_step = 30000},
		{.name = "silent", .silent = true},
		{.name = "silent, many keys", .nb_keys = 60000, .largest_step = 30, .silent = true},
		{.name = "silent, nic hash, one value",
	     .flags = CONNTRACK_NIC_HASH,
	     .nic_bits = 0,
	     .largest_step = 10,
	     .silent = true},
		{.name = "silent, nic hash, groups, 3 bits",
	     .flags = CONNTRACK_NIC_HASH,
	     .nb_groups = 4,
	     .nic_bits = 3,
	     .nb_keys = 2000,
	     .largest_step = 10,
	     .silent = true},
	};
	for (Setup setup : setups)
		for (Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
			if (!reframer::conntrack::has_isa(isa)) {
				MESSAGE("skipped: this processor lacks instruction set ", static_cast<int>(isa));
				continue;
			}
			setup.isa = isa;
			CAPTURE(std::string(setup.name));
			CAPTURE(static_cast<int>(isa));
			CAPTURE(run_seed());
			run_differential(setup, 4000);
		}
}

TEST_CASE("deadlines survive the wrap of the 16-bit clock")
{
	Fixture f({.name = "wrap"});
	uint64_t now = 0;
	std::string keys[4];
	for (unsigned c = 0; c < 4; c++) {
		keys[c] = f.key(c);
		void *state = conntrack_find_or_insert(f.table, keys[c].data(), nullptr, now, nullptr);
		REQUIRE(state != nullptr);
		conntrack_set_class(f.table, state, c == 3 ? 4 : c, now); // 0.5 s, 3 s, 40 s, 200 s
	}
	// Calls that never look at these keys, over several wraps (65.536 s each).
	uint64_t deaths[] = {501, 3001, 40'001, 200'001};
	for (uint64_t tick = 0; tick < 300'000; tick += 97) {
		now = tick * tick_ns;
		std::string other = f.key(1000);
		conntrack_find_burst(f.table, other.data(), nullptr, 1, now, std::vector<void *>(1).data());
		std::set<std::string> expected;
		for (unsigned c = 0; c < 4; c++)
			if (tick < deaths[c])
				expected.insert(keys[c]);
		std::set<std::string> got;
		if (tick % 3000 < 97) {
			for (const auto &[key, value] : f.live(now))
				got.insert(key);
			REQUIRE(got == expected);
		}
	}
}

TEST_CASE("a class change long after the last call does not read as one long before it")
{
	conntrack_params params;
	conntrack_default_params(&params);
	params.tick_ns = 10'000'000;
	params.timeout_ns[0] = 0;
	params.timeout_ns[1] = 100'000'000'000;
	conntrack_table *t;
	REQUIRE(conntrack_create(&params, &t) == 0);
	uint64_t key[2] = {1, 2}, second = 1'000'000'000;
	// 30000 ticks late: counted as 16383, so the entry lives until tick 26484 and no longer.
	void *state = conntrack_find_or_insert(t, key, nullptr, second, nullptr);
	REQUIRE(conntrack_set_class(t, state, 1, 301 * second) == 0);
	CHECK(conntrack_iterate(
			  t, 260 * second, [](void *, const void *, void *, int) {}, nullptr) == 1);
	CHECK(conntrack_find(t, key, nullptr, 301 * second) == nullptr);
	conntrack_free(t);
}

TEST_CASE("a full table refuses or evicts, and never a protected flow")
{
	for (bool evict : {false, true}) {
		Setup setup{.name = "full", .flags = CONNTRACK_FIXED_SIZE, .initial_flows = 1000};
		if (!evict)
			setup.flags |= CONNTRACK_NO_EVICTION;
		setup.initial_flows = 1000;
		conntrack_params params;
		conntrack_default_params(&params);
		params.flags = setup.flags;
		params.initial_flows = 1000;
		params.protected_classes = 1u << 2;
		params.seed = run_seed();
		conntrack_table *t;
		REQUIRE(conntrack_create(&params, &t) == 0);
		std::mt19937_64 random(run_seed());
		std::vector<std::vector<uint64_t>> established(500, std::vector<uint64_t>(2));
		for (auto &key : established) {
			key = {random(), random()};
			void *state = conntrack_find_or_insert(t, key.data(), nullptr, 0, nullptr);
			REQUIRE(state != nullptr);
			conntrack_set_class(t, state, 2, 0);
		}
		uint64_t refused = 0;
		for (int i = 0; i < 20000; i++) {
			uint64_t key[2] = {random(), random()};
			refused += conntrack_find_or_insert(t, key, nullptr, 0, nullptr) == nullptr;
		}
		conntrack_stats stats;
		conntrack_get_stats(t, &stats);
		CHECK(stats.flows <= 1000);
		CHECK(stats.refused == refused);
		if (evict) {
			CHECK(stats.evicted > 19000);
			CHECK(refused < 200);
		} else {
			CHECK(stats.evicted == 0);
			CHECK(refused == 20000 - 500);
			CHECK(stats.flows == 1000);
		}
		for (const auto &key : established)
			REQUIRE(conntrack_find(t, key.data(), nullptr, 0) != nullptr);
		// Time makes room again, without a sweep.
		uint64_t key[2] = {1, 2};
		CHECK(conntrack_find_or_insert(t, key, nullptr, 60'000'000'000u, nullptr) != nullptr);
		conntrack_free(t);
	}
}
