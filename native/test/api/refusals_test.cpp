// What is refused, and in which words; null pointers.
#include "reframer/conntrack_shared.h"
#include "reframer/reframer.h"
#include "reframer/rsspp.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

namespace {

template <typename Params>
std::string why(int (*check)(const Params *, char *, size_t), const Params &params)
{
	char text[128];
	const int result = check(&params, text, sizeof text);
	CHECK(result == (text[0] ? -EINVAL : 0));
	// In less room: cut, and ended.
	char small[8];
	std::memset(small, 'x', sizeof small);
	check(&params, small, sizeof small);
	CHECK(std::string(text).starts_with(small));
	return text;
}

} // namespace

TEST_CASE("reframer_check names the parameter, its value, its range")
{
	reframer_params defaults;
	reframer_default_params(&defaults);
	CHECK(why(reframer_check, defaults).empty());
	const auto with = [&](auto change) {
		reframer_params p = defaults;
		change(p);
		reframer_stage *stage = nullptr;
		CHECK(reframer_create(&p, &stage) == -EINVAL);
		return why(reframer_check, p);
	};
	CHECK(with([](auto &p) { p.max_packets = 5; }) == "max_packets is 5, must be 32 to 1048576");
	CHECK(with([](auto &p) { p.policy = 3; }) == "policy is 3, must be 0 to 2");
	CHECK(with([](auto &p) { p.delay_ns = 2'000'000'000; }) ==
	      "delay_ns is 2000000000, must be 0 to 1000000000");
	CHECK(with([](auto &p) { p.bypass = 0x81; }) ==
	      "bypass is 0x81, which has unknown bits: 0x1f are known");
	CHECK(with([](auto &p) { p.nb_rules = 1; }) == "rules is NULL");
	CHECK(with([](auto &p) { p.lookahead = 129; }) == "lookahead is 129, must be 0 to 128");
	reframer_rule rules[2] = {};
	rules[1].ip_version = 5;
	const auto with_rules = [&] {
		return with([&](auto &p) {
			p.rules = rules;
			p.nb_rules = 2;
		});
	};
	CHECK(with_rules() == "rules[1].ip_version is 5, must be 0, 4 or 6");
	rules[1] = {};
	rules[1].ip_version = 4;
	rules[1].prefix_length = 33;
	CHECK(with_rules() == "rules[1].prefix_length is 33, must be 0 to 32");
	rules[1] = {};
	rules[1].port_low = 9;
	rules[1].port_high = 8;
	CHECK(with_rules() == "rules[1].port_high is 8, must be 9 to 65535");
}

TEST_CASE("conntrack_check and its kin do")
{
	conntrack_params defaults;
	conntrack_default_params(&defaults);
	const auto with = [&](auto change) {
		conntrack_params p = defaults;
		change(p);
		conntrack_table *table = nullptr;
		CHECK(conntrack_create(&p, &table) == -EINVAL);
		return why(conntrack_check, p);
	};
	CHECK(why(conntrack_check, defaults).empty());
	CHECK(with([](auto &p) { p.key_size = 20; }) == "key_size is 20, must be 16 or 40");
	CHECK(with([](auto &p) { p.state_size = 12; }) ==
	      "state_size is 12, must be a multiple of 8, 8 to 512");
	CHECK(with([](auto &p) { p.nb_groups = 2; }) ==
	      "nb_groups is 2, must be 1 without CONNTRACK_NIC_HASH");
	CHECK(with([](auto &p) { p.max_flows = 100; }) ==
	      "max_flows is 100, must be 65536 to 67108864");
	CHECK(with([](auto &p) { p.tick_ns = 999; }) == "tick_ns is 999, must be 1000 to 10000000000");
	CHECK(with([](auto &p) {
			  p.timeout_ns[3] = UINT64_MAX;
		  }).starts_with("timeout_ns[3] is 18446744073709551615, must be below "));
	conntrack_params shared = defaults;
	shared.flags = CONNTRACK_SYMMETRIC;
	CHECK(why(conntrack_shared_check, shared) ==
	      "flags is 0x4, a shared table has neither CONNTRACK_NIC_HASH nor CONNTRACK_SYMMETRIC");
	CHECK(why(conntrack_check, shared).empty());
	shared = defaults;
	shared.flags = CONNTRACK_FIXED_SIZE;
	shared.load_percent = 96;
	CHECK(why(conntrack_check, shared) == "load_percent is 96, must be 25 to 95");
	shared.load_percent = 76;
	CHECK(why(conntrack_shared_check, shared) ==
	      "load_percent is 76, must be 25 to 75 in a shared table with CONNTRACK_FIXED_SIZE");
	CHECK(why(conntrack_check, shared).empty());
	conntrack_shared *table = nullptr;
	CHECK(conntrack_shared_create(&shared, &table) == -EINVAL);
	shared.load_percent = 75;
	CHECK(why(conntrack_shared_check, shared).empty());
	shared.flags = 0;
	shared.load_percent = 95;
	CHECK(why(conntrack_shared_check, shared).empty());

	rsspp_balancer_params balancer;
	rsspp_balancer_default_params(&balancer);
	CHECK(why(rsspp_balancer_check, balancer).empty());
	balancer.nb_cores = 0;
	CHECK(why(rsspp_balancer_check, balancer) == "nb_cores is 0, must be 1 to 256");
	balancer.nb_cores = 4;
	balancer.smoothing = 1.5f;
	CHECK(why(rsspp_balancer_check, balancer) == "smoothing is 1.5, must be 1.17549e-38 to 1");
	rsspp_handover_params handover;
	rsspp_handover_default_params(&handover);
	CHECK(why(rsspp_handover_check, handover).empty());
	handover.nb_buckets = 100;
	CHECK(why(rsspp_handover_check, handover) ==
	      "nb_buckets is 100, must be a power of two, 2 to 4096");
	handover.nb_buckets = 2;
	const uint16_t owner[2] = {0, 7};
	handover.owner = owner;
	CHECK(why(rsspp_handover_check, handover) == "owner[1] is 7, must be 0 to 0");
}

TEST_CASE("null pointers are refused")
{
	reframer_params params;
	reframer_default_params(&params);
	reframer_stage *stage = nullptr;
	CHECK(reframer_create(nullptr, &stage) == -EINVAL);
	CHECK(reframer_create(&params, nullptr) == -EINVAL);
	REQUIRE(reframer_create(&params, &stage) == 0);
	reframer_run run;
	uint32_t nb = 1;
	void *out;
	reframer_burst burst = {};
	CHECK(reframer_push(stage, nullptr, 0) == 0);
	CHECK(reframer_push(nullptr, &burst, 0) == 0);
	burst.count = 4;
	CHECK(reframer_push(stage, &burst, 0) == 0);
	CHECK(reframer_poll(stage, 0, nullptr, 1, &run, &nb) == 0);
	CHECK(reframer_poll(stage, 0, &out, 1, &run, nullptr) == 0);
	CHECK(reframer_poll(nullptr, 0, &out, 1, &run, &nb) == 0);
	CHECK(reframer_drain(stage, 0, nullptr, 1, nullptr, nullptr) == 0);
	CHECK(reframer_take_thinned(stage, nullptr, 4) == 0);
	reframer_pass(stage, nullptr, 0);
	reframer_report_load(stage, nullptr);
	reframer_get_stats(stage, nullptr);
	reframer_hold_histogram(stage, nullptr, 4);
	uint64_t holds[2] = {7, 7};
	reframer_hold_histogram(nullptr, holds, 2);
	CHECK((holds[0] == 0 && holds[1] == 0));
	CHECK(reframer_hold_quantile(nullptr, 1, 0.5) == 0);
	reframer_free(stage);
	reframer_free(nullptr);

	conntrack_params table_params;
	conntrack_default_params(&table_params);
	conntrack_table *table = nullptr;
	CHECK(conntrack_create(nullptr, &table) == -EINVAL);
	CHECK(conntrack_create(&table_params, nullptr) == -EINVAL);
	REQUIRE(conntrack_create(&table_params, &table) == 0);
	void *state;
	uint64_t digest;
	const uint8_t key[16] = {};
	CHECK(conntrack_find_burst(table, nullptr, nullptr, 1, 0, &state) == 0);
	CHECK(conntrack_find_burst(table, key, nullptr, 1, 0, nullptr) == 0);
	CHECK(conntrack_find_burst(nullptr, key, nullptr, 1, 0, &state) == 0);
	CHECK(conntrack_find_or_insert_burst(table, nullptr, nullptr, 1, 0, &state, nullptr) == 0);
	CHECK(conntrack_find_or_insert_burst(table, key, nullptr, 1, 0, nullptr, nullptr) == 0);
	CHECK(conntrack_remove_burst(table, nullptr, nullptr, 1, 0) == 0);
	conntrack_digest_burst(table, nullptr, nullptr, 1, &digest);
	conntrack_digest_burst(table, key, nullptr, 1, nullptr);
	conntrack_prefetch_burst(table, nullptr, 1);
	CHECK(conntrack_find(table, nullptr, nullptr, 0) == nullptr);
	CHECK(conntrack_find_or_insert(table, nullptr, nullptr, 0, nullptr) == nullptr);
	CHECK(conntrack_remove(table, nullptr, nullptr, 0) == -ENOENT);
	CHECK(conntrack_is_reply(table, nullptr, nullptr) == -EINVAL);
	CHECK(conntrack_set_class(table, nullptr, 0, 0) == -EINVAL);
	CHECK(conntrack_iterate(table, 0, nullptr, nullptr) == 0);
	CHECK(conntrack_prepare(nullptr) == -EINVAL);
	CHECK(conntrack_attach_group(table, nullptr, 0) == -EINVAL);
	CHECK(conntrack_detach_group(nullptr, 0, 0) == nullptr);
	CHECK(conntrack_key_size(table) == 16);
	CHECK(conntrack_flags(table) == 0);
	conntrack_get_stats(table, nullptr);
	conntrack_free(table);

	conntrack_shared *shared = nullptr;
	REQUIRE(conntrack_shared_create(&table_params, &shared) == 0);
	conntrack_thread *thread = conntrack_shared_thread_create(shared);
	uint8_t result;
	CHECK(conntrack_shared_find_burst(thread, nullptr, nullptr, 1, 0, nullptr, &result) == 0);
	CHECK(conntrack_shared_find_burst(thread, key, nullptr, 1, 0, nullptr, nullptr) == 0);
	CHECK(conntrack_shared_find_or_insert_burst(thread, key, nullptr, 1, 0, nullptr, &result) == 0);
	CHECK(conntrack_shared_update_burst(thread, key, nullptr, 1, 0, nullptr, nullptr, nullptr) ==
	      0);
	CHECK(conntrack_shared_thread_create(nullptr) == nullptr);
	CHECK(conntrack_shared_iterate(thread, 0, nullptr, nullptr) == 0);
	conntrack_shared_free(shared);

	rsspp_solver *solver = nullptr;
	REQUIRE(rsspp_solver_create(4, 2, &solver) == 0);
	rsspp_problem problem = {};
	problem.nb_buckets = 4;
	problem.nb_cores = 2;
	rsspp_solution solution;
	uint16_t owner[4] = {};
	CHECK(rsspp_solve(solver, RSSPP_OURS, nullptr, owner, &solution) == -EINVAL);
	CHECK(rsspp_solve(solver, RSSPP_OURS, &problem, owner, &solution) == -EINVAL);
	problem.owner = owner;
	CHECK(rsspp_solve(solver, RSSPP_OURS, &problem, owner, &solution) == -EINVAL);
	rsspp_solver_free(solver);
	CHECK(rsspp_balancer_set_table(nullptr, owner) == -EINVAL);
	CHECK(rsspp_balancer_table(nullptr) == nullptr);
	rsspp_move move = {};
	CHECK(rsspp_balancer_reject(nullptr, &move, 1) == -EINVAL);

	rsspp_handover_params handover_params;
	rsspp_handover_default_params(&handover_params);
	rsspp_handover *handover = nullptr;
	REQUIRE(rsspp_handover_create(&handover_params, &handover) == 0);
	uint16_t buckets[512];
	uint32_t hash = 0, nb_out;
	// A core and a bucket that there are not.
	CHECK(rsspp_handover_admit(handover, 1, &state, &hash, 1, &out, &hash, 1, &nb_out) == 0);
	CHECK(rsspp_handover_admit(handover, 0, nullptr, &hash, 1, &out, &hash, 1, &nb_out) == 0);
	CHECK(rsspp_handover_poll(handover, 1, 0, 0, buckets) == 0);
	CHECK(rsspp_handover_begin(handover, 512, 0) == -EINVAL);
	CHECK(rsspp_handover_begin(handover, 0, 1) == -EINVAL);
	CHECK(rsspp_handover_backlog(handover, 9) == 0);
	rsspp_handover_release(handover, 9);
	rsspp_handover_counters(handover, nullptr);
	rsspp_handover_free(handover);
}

TEST_CASE("runs that nobody wants: the packets come all the same, as many and in order")
{
	reframer_params params;
	reframer_default_params(&params);
	params.hash_seed = 5;
	for (const bool drain : {false, true}) {
		void *out[2][700];
		uint32_t nb[2];
		for (const bool wanted : {false, true}) {
			reframer_stage *stage = nullptr;
			REQUIRE(reframer_create(&params, &stage) == 0);
			uint32_t hash[700];
			void *packets[700];
			for (uint32_t i = 0; i < 700; i++) {
				hash[i] = (i * 2654435761u) >> 23; // up to 512 runs
				packets[i] = reinterpret_cast<void *>(uintptr_t{i} + 1);
			}
			reframer_burst burst = {};
			burst.packets = packets;
			burst.hash = hash;
			burst.count = 700;
			REQUIRE(reframer_push(stage, &burst, 0) == 700);
			reframer_run runs[700];
			uint32_t nb_runs = 700;
			nb[wanted] = (drain ? reframer_drain : reframer_poll)(stage, 1'000'000, out[wanted],
			                                                      700, wanted ? runs : nullptr,
			                                                      wanted ? &nb_runs : nullptr);
			reframer_free(stage);
		}
		CHECK(nb[0] == 700);
		CHECK(nb[1] == 700);
		CHECK(std::memcmp(out[0], out[1], sizeof out[0]) == 0);
	}
}
