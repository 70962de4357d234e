// The burst table against the model, through the C interface.
#include "conntrack/table.hpp"
#include "model.hpp"
#include "reframer/conntrack.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <fstream>
#include <set>

#include <sys/resource.h>
#include <unistd.h>

using reframer::conntrack::Isa;
using reframer::test::FlowModel;
using reframer::test::run_seed;

namespace {

constexpr uint64_t tick_ns = 1'000'000;

struct Setup {
	const char *name;
	uint32_t key_size = 16, state_size = 8;
	uint32_t flags = 0, nb_groups = 1;
	uint64_t initial_flows = 64;
	uint32_t nic_bits = 32; // fewer: colliding NIC hashes
	uint64_t nb_keys = 3000;
	uint64_t largest_step = 40; // ticks between calls
	uint32_t burst = 64;
	Isa isa = reframer::conntrack::best_isa();
	bool silent = false; // nobody is told of removals: sweeps then go by the buckets alone
};

void count_removed(void *context, const void *, void *, int reason)
{
	static_cast<uint64_t *>(context)[reason]++;
}

struct Fixture {
	Setup setup;
	conntrack_params params;
	conntrack_table *table = nullptr;
	uint64_t removed[3] = {};
	std::mt19937_64 random{run_seed()};

	explicit Fixture(const Setup &s, uint64_t max_flows = 1 << 20) : setup(s)
	{
		conntrack_default_params(&params);
		params.key_size = s.key_size;
		params.state_size = s.state_size;
		params.flags = s.flags;
		params.nb_groups = s.nb_groups;
		params.initial_flows = s.initial_flows;
		params.max_flows = max_flows;
		params.tick_ns = tick_ns;
		params.seed = run_seed();
		params.on_removed = s.silent ? nullptr : count_removed;
		params.context = removed;
		uint64_t ms[] = {500, 3000, 40'000, 0, 200'000};
		for (unsigned c = 0; c < CONNTRACK_NB_CLASSES; c++)
			params.timeout_ns[c] = ms[c % 5] * tick_ns;
		REQUIRE(reframer::conntrack::create_table(params, setup.isa, &table) == 0);
	}
	~Fixture() { conntrack_free(table); }
	Fixture(const Fixture &) = delete;
	Fixture &operator=(const Fixture &) = delete;

	std::vector<uint64_t> timeouts() const
	{
		std::vector<uint64_t> out;
		for (uint64_t t : params.timeout_ns)
			out.push_back(t ? t / tick_ns + 1 : 0);
		return out;
	}
	std::string key(uint64_t number) const
	{
		std::string k(setup.key_size, '\0');
		std::memcpy(k.data(), &number, 8);
		std::memcpy(k.data() + setup.key_size - 4, &number, 4);
		return k;
	}
	uint32_t nic_hash(uint64_t number) const
	{
		auto h = static_cast<uint32_t>(number * 0x9e3779b97f4a7c15u >> 32);
		return setup.nic_bits == 32 ? h : h & ((1u << setup.nic_bits) - 1);
	}
	std::vector<uint64_t> digests(const std::vector<uint64_t> &numbers, const std::string &keys)
	{
		std::vector<uint64_t> out(numbers.size());
		std::vector<uint32_t> nic;
		for (uint64_t n : numbers)
			nic.push_back(nic_hash(n));
		conntrack_digest_burst(table, keys.data(), nic.data(), uint32_t(numbers.size()),
		                       out.data());
		return out;
	}
	std::map<std::string, uint64_t> live(uint64_t now)
	{
		struct Context {
			std::map<std::string, uint64_t> flows;
			size_t key_size;
		} c{{}, setup.key_size};
		auto visit = [](void *context, const void *key, void *state, int) {
			auto *c = static_cast<Context *>(context);
			uint64_t value;
			std::memcpy(&value, state, 8);
			c->flows[std::string(static_cast<const char *>(key), c->key_size)] = value;
		};
		uint64_t visited = conntrack_iterate(table, now, visit, &c);
		CHECK(visited == c.flows.size());
		return c.flows;
	}
};

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

TEST_CASE("groups move between tables with all their flows")
{
	Setup setup{.name = "move",
	            .flags = CONNTRACK_NIC_HASH,
	            .nb_groups = 8,
	            .initial_flows = 512,
	            .nb_keys = 4000};
	Fixture a(setup), b(setup);
	for (uint32_t g = 0; g < 8; g++)
		conntrack_free_group(conntrack_detach_group(b.table, g, 0));
	std::vector<uint64_t> numbers;
	std::string keys;
	for (uint64_t i = 0; i < setup.nb_keys; i++) {
		numbers.push_back(i);
		keys += a.key(i);
	}
	auto n = uint32_t(numbers.size());
	std::vector<uint64_t> digests = a.digests(numbers, keys);
	REQUIRE(b.digests(numbers, keys) == digests);
	std::vector<void *> states(n);
	REQUIRE(conntrack_find_or_insert_burst(a.table, keys.data(), digests.data(), n, 0,
	                                       states.data(), nullptr) == n);
	for (uint32_t i = 0; i < n; i++)
		std::memcpy(states[i], &numbers[i], 8);
	// One group after another, while the others stay in use and keep growing.
	for (uint32_t g = 0; g < 8; g++) {
		conntrack_group *group = conntrack_detach_group(a.table, g, 0);
		REQUIRE(group != nullptr);
		CHECK(conntrack_detach_group(a.table, g, 0) == nullptr);
		CHECK(conntrack_attach_group(b.table, group, 0) == 0);
		CHECK(conntrack_attach_group(b.table, group, 0) == -EEXIST);
		for (uint32_t i = 0; i < n; i++) {
			bool in_b = (a.nic_hash(numbers[i]) & 7) <= g;
			const char *key = keys.data() + size_t{i} * 16;
			REQUIRE((conntrack_find(a.table, key, &digests[i], 0) != nullptr) == !in_b);
			void *state = conntrack_find(b.table, key, &digests[i], 0);
			REQUIRE((state != nullptr) == in_b);
			if (state)
				REQUIRE(std::memcmp(state, &numbers[i], 8) == 0);
		}
	}
	conntrack_stats stats;
	conntrack_get_stats(a.table, &stats);
	CHECK(stats.flows == 0);
	CHECK(stats.not_owned > 0);
	conntrack_get_stats(b.table, &stats);
	CHECK(stats.flows == n);
	// Other parameters: refused.
	Setup other = setup;
	other.key_size = 40;
	Fixture c(other);
	conntrack_group *group = conntrack_detach_group(c.table, 3, 0);
	conntrack_free_group(conntrack_detach_group(b.table, 3, 0));
	CHECK(conntrack_attach_group(b.table, group, 0) == -EINVAL);
	conntrack_free_group(group);
}

TEST_CASE("growth loses nothing and keeps memory near what is used")
{
	Fixture f({.name = "grow"}, 1 << 22);
	constexpr uint64_t nb = 300'000;
	for (uint64_t i = 0; i < nb; i++) {
		uint64_t key[2] = {i, ~i};
		int is_new = 0;
		void *state = conntrack_find_or_insert(f.table, key, nullptr, CONNTRACK_NO_TIME, &is_new);
		REQUIRE(state != nullptr);
		REQUIRE(is_new == 1);
		std::memcpy(state, &i, 8);
	}
	conntrack_stats stats;
	conntrack_get_stats(f.table, &stats);
	CHECK(stats.flows == nb);
	CHECK(stats.moved > nb);
	CHECK(double(stats.bytes) / nb < 64);
	for (uint64_t i = 0; i < nb; i++) {
		uint64_t key[2] = {i, ~i};
		void *state = conntrack_find(f.table, key, nullptr, CONNTRACK_NO_TIME);
		REQUIRE(state != nullptr);
		REQUIRE(std::memcmp(state, &i, 8) == 0);
	}
	CHECK(conntrack_prepare(f.table) == 0);
}

TEST_CASE("no insert moves more than a few buckets, however large the table grows")
{
	Fixture f({.name = "bounded"}, 1 << 22);
	uint64_t moved = 0, most = 0;
	for (uint64_t i = 0; i < 400'000; i++) {
		uint64_t key[2] = {i, ~i};
		REQUIRE(conntrack_find_or_insert(f.table, key, nullptr, CONNTRACK_NO_TIME, nullptr) !=
		        nullptr);
		conntrack_stats stats;
		conntrack_get_stats(f.table, &stats);

		if (i > 4096)
			most = std::max(most, stats.moved - moved);
		moved = stats.moved;
	}
	CHECK(most > 0);
	CHECK(most <= 96); // of 16 lines
}

// Sanitizers map terabytes, which a bound on the address space does not allow.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a table that got no addresses to grow asks again when there are some")
{
	const auto pages = [] {
		uint64_t size = 0;
		std::ifstream("/proc/self/statm") >> size;
		return size;
	};
	conntrack_params params;
	conntrack_default_params(&params);
	params.initial_flows = 64;
	params.seed = run_seed();
	constexpr uint32_t n = 150'000; // 9 MB of table
	std::vector<uint64_t> keys(2 * n);
	std::vector<void *> states(n);
	rlimit before;
	REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
	rlimit tight = before;
	tight.rlim_cur = pages() * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) + (9 << 20);
	REQUIRE(setrlimit(RLIMIT_AS, &tight) == 0);
	conntrack_table *t = nullptr;
	const int error = conntrack_create(&params, &t);
	const auto insert = [&](uint64_t salt) {
		for (uint64_t i = 0; i < n; i++) {
			keys[2 * i] = i;
			keys[2 * i + 1] = salt;
		}
		return conntrack_find_or_insert_burst(t, keys.data(), nullptr, n, CONNTRACK_NO_TIME,
		                                      states.data(), nullptr);
	};
	const uint32_t held = error ? 0 : insert(1);
	REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
	REQUIRE(error == 0);
	CHECK(held > 0);
	CHECK(held < n);
	CHECK(insert(2) == n);
	conntrack_stats stats;
	conntrack_get_stats(t, &stats);
	CHECK(stats.flows == held + n);
	conntrack_free(t);
}
#endif

TEST_CASE("without the NIC's hash a table placed by it does nothing, and says so for every key")
{
	conntrack_params params;
	conntrack_default_params(&params);
	params.flags = CONNTRACK_NIC_HASH;
	conntrack_table *t = nullptr;
	REQUIRE(conntrack_create(&params, &t) == 0);
	uint64_t keys[6] = {1, 2, 3, 4, 5, 6};
	void *states[3] = {keys, keys, keys};
	uint8_t results[3] = {9, 9, 9};
	CHECK(conntrack_find_or_insert_burst(t, keys, nullptr, 3, 0, states, results) == 0);
	for (int i = 0; i < 3; i++) {
		CHECK(states[i] == nullptr);
		CHECK(results[i] == 0);
	}
	states[0] = keys;
	CHECK(conntrack_find_burst(t, keys, nullptr, 3, 0, states) == 0);
	CHECK(states[0] == nullptr);
	CHECK(conntrack_remove_burst(t, keys, nullptr, 3, 0) == 0);
	conntrack_free(t);
}

TEST_CASE("keys of both directions become one")
{
	uint8_t a4[4] = {10, 0, 0, 1}, b4[4] = {10, 0, 0, 2}, a6[16] = {1}, b6[16] = {2};
	uint8_t there[40], back[40];
	conntrack_key_ipv4(there, a4, b4, 1, 2, 6);
	conntrack_key_ipv4(back, b4, a4, 2, 1, 6);
	CHECK(conntrack_key_symmetric(there, 16) + conntrack_key_symmetric(back, 16) == 1);
	CHECK(std::memcmp(there, back, 16) == 0);
	conntrack_key_ipv6(there, a6, b6, 7, 7, 17);
	conntrack_key_ipv6(back, b6, a6, 7, 7, 17);
	CHECK(conntrack_key_symmetric(there, 40) == 0);
	CHECK(conntrack_key_symmetric(back, 40) == 1);
	CHECK(std::memcmp(there, back, 40) == 0);
	conntrack_key_ipv4(there, a4, a4, 1, 2, 6);
	conntrack_key_ipv4(back, a4, a4, 2, 1, 6);
	CHECK(conntrack_key_symmetric(there, 16) != conntrack_key_symmetric(back, 16));
	CHECK(std::memcmp(there, back, 16) == 0);
	CHECK(conntrack_key_symmetric(there, 24) == -EINVAL);
}

TEST_CASE("a symmetric table has one entry for both directions and tells them apart")
{
	for (uint32_t key_size : {16u, 40u}) {
		for (uint64_t nb_flows : {300u, 40'000u}) { // searched directly, and in steps
			conntrack_params params;
			conntrack_default_params(&params);
			params.key_size = key_size;
			params.flags = CONNTRACK_SYMMETRIC;
			params.seed = run_seed();
			conntrack_table *t;
			REQUIRE(conntrack_create(&params, &t) == 0);
			std::mt19937_64 random(run_seed());
			auto packet = [&](uint64_t flow, bool back) {
				std::string key(key_size, '\0');
				uint8_t a[16] = {}, b[16] = {};
				uint64_t mixed = flow * 0x9e3779b97f4a7c15u;
				std::memcpy(a, &mixed, 4);
				std::memcpy(b, reinterpret_cast<const uint8_t *>(&mixed) + 4, 4);
				auto write = key_size == 16
				                 ? [](void *k, const uint8_t *s, const uint8_t *d, uint16_t sp,
				                      uint16_t dp) { conntrack_key_ipv4(k, s, d, sp, dp, 6); }
				                 : [](void *k, const uint8_t *s, const uint8_t *d, uint16_t sp,
				                      uint16_t dp) { conntrack_key_ipv6(k, s, d, sp, dp, 6); };
				uint16_t pa = uint16_t(flow), pb = 443;
				back ? write(key.data(), b, a, pb, pa) : write(key.data(), a, b, pa, pb);
				return key;
			};
			std::map<uint64_t, bool> first; // flow: the direction of its first packet
			for (int call = 0; call < 600; call++) {
				auto n = uint32_t(1 + random() % 200);
				std::vector<uint64_t> flows(n), digests(n);
				std::vector<bool> back(n);
				std::string keys;
				for (uint32_t i = 0; i < n; i++) {
					flows[i] = random() % nb_flows;
					back[i] = random() % 2;
					keys += packet(flows[i], back[i]);
				}
				const uint64_t *d = nullptr;
				if (random() % 2) {
					conntrack_digest_burst(t, keys.data(), nullptr, n, digests.data());
					conntrack_prefetch_burst(t, digests.data(), n);
					d = digests.data();
				}
				std::vector<void *> states(n);
				std::vector<uint8_t> results(n);
				unsigned operation = random() % 8;
				if (operation < 5) {
					REQUIRE(conntrack_find_or_insert_burst(t, keys.data(), d, n, 0, states.data(),
					                                       results.data()) == n);
					for (uint32_t i = 0; i < n; i++) {
						bool is_new = first.emplace(flows[i], back[i]).second;
						REQUIRE(results[i] == (is_new                       ? CONNTRACK_NEW
						                       : back[i] != first[flows[i]] ? CONNTRACK_REPLY
						                                                    : 0));
					}
				} else if (operation < 7) {
					conntrack_find_burst(t, keys.data(), d, n, 0, states.data());
					for (uint32_t i = 0; i < n; i++) {
						REQUIRE((states[i] != nullptr) == (first.count(flows[i]) != 0));
						if (states[i])
							REQUIRE(conntrack_is_reply(t, &keys[size_t{i} * key_size], states[i]) ==
							        (back[i] != first[flows[i]]));
					}
				} else {
					uint32_t gone = 0;
					for (uint64_t flow : flows)
						gone += uint32_t(first.erase(flow));
					REQUIRE(conntrack_remove_burst(t, keys.data(), d, n, 0) == gone);
				}
			}
			conntrack_stats stats;
			conntrack_get_stats(t, &stats);
			CHECK(stats.flows == first.size());
			conntrack_free(t);
		}
	}
}

TEST_CASE("parameters out of range are refused")
{
	auto create = [](auto change) {
		conntrack_params params;
		conntrack_default_params(&params);
		change(params);
		conntrack_table *t = nullptr;
		int error = conntrack_create(&params, &t);
		conntrack_free(t);
		return error;
	};
	CHECK(create([](auto &) {}) == 0);
	CHECK(create([](auto &p) { p.size = 1; }) == -EINVAL);
	CHECK(create([](auto &p) { p.key_size = 20; }) == -EINVAL);
	CHECK(create([](auto &p) { p.state_size = 12; }) == -EINVAL);
	CHECK(create([](auto &p) { p.state_size = 72; }) == -EINVAL);
	CHECK(create([](auto &p) { p.nb_groups = 128; }) == -EINVAL);
	CHECK(create([](auto &p) { p.nb_groups = 3, p.flags = CONNTRACK_NIC_HASH; }) == -EINVAL);
	CHECK(create([](auto &p) { p.max_flows = 10; }) == -EINVAL);
	CHECK(create([](auto &p) { p.flags = 1u << 31; }) == -EINVAL);
	CHECK(create([](auto &p) { p.tick_ns = 1; }) == -EINVAL);
	CHECK(create([](auto &p) { p.timeout_ns[3] = UINT64_MAX; }) == -EINVAL);
}
