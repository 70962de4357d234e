// Burst tables whose flows move: to other tables by group, to larger places as they grow.
#include "burst_table_fixture.hpp"

#include <array>
#include <fstream>

#include <sys/resource.h>
#include <unistd.h>

using namespace reframer::test;

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

// All of them belong to one page, so the stash takes them; it must have grown before it is full. Its
// pages have no further place to go: the 18,000 that it has in the end, met at five stages of growth,
// have five flows with the same two lines (1,024 pairs in a page of 57 to 65 flows) in one run in two.
TEST_CASE("a table that grows keeps the flows of one NIC hash")
{
	constexpr uint32_t nb = 1'000'000, burst = 32;
	Fixture f({.name = "one hash", .flags = CONNTRACK_NIC_HASH, .nic_bits = 0}, 1 << 22);
	std::vector<std::array<uint64_t, 2>> keys(nb);
	std::vector<uint64_t> digests(nb);
	std::vector<void *> states(burst);
	const std::vector<uint32_t> same(burst, 0x12345678);
	for (uint32_t i = 0; i < nb; i += burst) {
		for (uint32_t j = i; j < i + burst; j++)
			keys[j] = {j, ~uint64_t{j}};
		conntrack_digest_burst(f.table, &keys[i], same.data(), burst, &digests[i]);
		REQUIRE(conntrack_find_or_insert_burst(f.table, &keys[i], &digests[i], burst, 0,
		                                       states.data(), nullptr) == burst);
		for (uint32_t j = 0; j < burst; j++)
			std::memcpy(states[j], &keys[i + j], 8);
	}
	conntrack_stats stats;
	conntrack_get_stats(f.table, &stats);
	CHECK(stats.refused == 0);
	CHECK(stats.evicted <= 8);
	uint64_t nb_found = 0;
	for (uint32_t i = 0; i < nb; i += burst) {
		nb_found += conntrack_find_burst(f.table, &keys[i], &digests[i], burst, 0, states.data());
		for (uint32_t j = 0; j < burst; j++)
			if (states[j])
				REQUIRE(std::memcmp(states[j], &keys[i + j], 8) == 0);
	}
	CHECK(nb_found == stats.flows);
	CHECK(nb_found == nb - stats.evicted);
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
	// Where there was no memory, some took the places of others.
	CHECK(stats.flows + stats.evicted == held + n);
	conntrack_free(t);
}
#endif

// A snapshot in pieces is what an iteration shows: while groups grow, with some away and some in the
// stash, and when entries are over that nobody has swept out.
TEST_CASE("a snapshot in pieces has every live entry once")
{
	Setup setup{.name = "pieces",
	            .key_size = 40,
	            .state_size = 16,
	            .flags = CONNTRACK_NIC_HASH,
	            .nb_groups = 4,
	            .nic_bits = 6};
	Fixture f(setup);
	conntrack_free_group(conntrack_detach_group(f.table, 2, 0));
	bool was_growing = false, was_spilled = false, was_expired = false;
	uint64_t now = 0;
	for (uint64_t number = 0; number < 20'000;) {
		std::vector<uint64_t> numbers;
		std::string keys;
		for (int i = 0; i < 200; i++, number++) {
			numbers.push_back(number);
			keys += f.key(number);
		}
		now += 20 * tick_ns;
		const std::vector<uint64_t> digests = f.digests(numbers, keys);
		std::vector<void *> states(numbers.size());
		conntrack_find_or_insert_burst(f.table, keys.data(), digests.data(),
		                               uint32_t(numbers.size()), now, states.data(), nullptr);
		for (size_t i = 0; i < numbers.size(); i++)
			if (states[i])
				std::memcpy(states[i], &numbers[i], 8);
		std::map<std::string, std::string> expected, got;
		auto visit = [](void *context, const void *key, void *state, int timeout_class) {
			(*static_cast<std::map<std::string, std::string> *>(
				context))[std::string(static_cast<const char *>(key), 40)] =
				std::string(static_cast<const char *>(state), 16) + char(timeout_class);
		};
		const uint64_t visited = conntrack_iterate(f.table, now, visit, &expected);
		conntrack_stats stats;
		conntrack_get_stats(f.table, &stats);
		was_growing |= stats.growing > 0;
		was_spilled |= stats.spilled > 0;
		was_expired |= visited < stats.flows;
		// Hardly more than a page at a time, and many.
		const uint64_t room = CONNTRACK_SNAPSHOT_ROOM + number % 500;
		std::string out_keys(room * 40, 0), out_states(room * 16, 0);
		std::vector<uint8_t> classes(room);
		uint64_t cursor = 0;
		while (const uint64_t n =
		           conntrack_snapshot_next(f.table, now, &cursor, room, out_keys.data(),
		                                   out_states.data(), classes.data())) {
			REQUIRE(n <= room);
			for (uint64_t i = 0; i < n; i++)
				REQUIRE(got.emplace(out_keys.substr(i * 40, 40),
				                    out_states.substr(i * 16, 16) + char(classes[i]))
				            .second);
		}
		REQUIRE(got == expected);
		REQUIRE(conntrack_snapshot_next(f.table, now, &cursor, room, out_keys.data(),
		                                out_states.data(), classes.data()) == 0);
		uint64_t begin = 0;
		REQUIRE(conntrack_snapshot_next(f.table, now, &begin, CONNTRACK_SNAPSHOT_ROOM - 1,
		                                out_keys.data(), out_states.data(), classes.data()) == 0);
	}
	CHECK(was_growing);
	CHECK(was_spilled);
	CHECK(was_expired);
}
