// Keys of the burst table, both directions of a flow, and what its calls refuse.
#include "burst_table_fixture.hpp"

using namespace reframer::test;

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
	CHECK(create([](auto &p) { p.state_size = 520; }) == -EINVAL);
	CHECK(create([](auto &p) { p.nb_groups = 128; }) == -EINVAL);
	CHECK(create([](auto &p) { p.nb_groups = 3, p.flags = CONNTRACK_NIC_HASH; }) == -EINVAL);
	CHECK(create([](auto &p) { p.max_flows = 10; }) == -EINVAL);
	CHECK(create([](auto &p) { p.flags = 1u << 31; }) == -EINVAL);
	CHECK(create([](auto &p) { p.tick_ns = 1; }) == -EINVAL);
	CHECK(create([](auto &p) { p.timeout_ns[3] = UINT64_MAX; }) == -EINVAL);
}
