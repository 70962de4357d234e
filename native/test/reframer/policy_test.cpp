// Policies one at a time: what the random sequences cannot name.
#include "stage_fixture.hpp"

#include "reframer/blocks/block_table.hpp"
#include "reframer/group_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

using namespace reframer::test;

namespace {

// A core that pushes bursts of 32 NIC hashes and reports `busy` of its time.
struct Core {
	Core(uint64_t budget, bool asking = false) : asks(asking)
	{
		reframer_params params;
		reframer_default_params(&params);
		params.policy = REFRAMER_ADAPTIVE;
		params.delay_ns = budget;
		params.hash_seed = 3;
		REQUIRE(reframer_create(&params, &r) == 0);
	}
	~Core() { reframer_free(r); }

	// `flows` in turn; `cost` gives cycles for a number of runs and packets.
	template <typename Cost> uint64_t run(uint64_t until, uint64_t gap, uint32_t flows, Cost cost)
	{
		void *packets[32], *out[4096];
		uint32_t hash[32], wire[32];
		reframer_run runs[4096];
		while (now < until) {
			for (uint32_t i = 0; i < 32; i++) {
				packets[i] = this;
				hash[i] = next++ / repeats % flows * 2654435761u;
				wire[i] = 100;
			}
			now += 32 * gap;
			const reframer_burst burst = {packets, nullptr, nullptr, wire, hash, 32};
			uint32_t nb_runs = 4096, n;
			if (asks && reframer_passes(r)) {
				reframer_pass(r, &burst, now);
				n = 32;
				nb_runs = 1;
				for (uint32_t i = 1; i < 32; i++)
					nb_runs += hash[i] != hash[i - 1];
				left_out += n;
			} else {
				reframer_push(r, &burst, now);
				n = reframer_poll(r, now, out, 4096, runs, &nb_runs);
			}
			const double busy = cost(nb_runs, n);
			if (busy >= 0) {
				const reframer_load load = {busy > 0.9 * 32 * static_cast<double>(gap) ? 200u : 0u,
				                            256, static_cast<uint64_t>(busy), 32 * gap, n};
				reframer_report_load(r, &load);
			}
		}
		reframer_stats stats;
		reframer_get_stats(r, &stats);
		return stats.delay_ns;
	}

	reframer_stage *r = nullptr;
	bool asks;
	uint64_t now = 0, left_out = 0;
	uint32_t next = 0, repeats = 1;
};

} // namespace

TEST_CASE("adaptive: no delay on an idle core, however much locality there is")
{
	Core core(64'000);
	CHECK(core.run(200'000'000, 500, 16, [](uint32_t runs, uint32_t) { return runs * 10.0; }) == 0);
}

TEST_CASE("adaptive: a busy core holds when runs make packets cheaper")
{
	Core core(64'000);
	const auto cost = [](uint32_t runs, uint32_t packets) {
		return runs * 400.0 + packets * 300.0;
	};
	CHECK(core.run(200'000'000, 500, 16, cost) >= 8'000);
	// ... and stops when the load goes.
	const auto light = [](uint32_t runs, uint32_t packets) { return runs * 4.0 + packets * 3.0; };
	CHECK(core.run(400'000'000, 500, 16, light) == 0);
}

TEST_CASE("adaptive: a busy core does not hold where nothing is gained")
{
	Core core(64'000);
	const auto cost = [](uint32_t runs, uint32_t packets) {
		return runs * 400.0 + packets * 100.0;
	};
	uint32_t zero = 0;
	for (uint64_t ms = 20; ms <= 200; ms++) // it looks again from time to time
		zero += core.run(ms * 1'000'000, 500, 1'000'000, cost) == 0;
	CHECK(zero > 120);
}

TEST_CASE("adaptive: without load reports the gain in runs decides")
{
	const auto silent = [](uint32_t, uint32_t) { return -1.0; };
	Core gains(64'000);
	CHECK(gains.run(200'000'000, 500, 16, silent) >= 8'000);
	Core gains_nothing(64'000);
	uint32_t zero = 0;
	for (uint64_t ms = 20; ms <= 200; ms++)
		zero += gains_nothing.run(ms * 1'000'000, 500, 1'000'000, silent) == 0;
	CHECK(zero > 120);
	Core trickle(64'000);
	CHECK(trickle.run(20'000'000'000, 1'000'000, 16, silent) == 0);
}

TEST_CASE(
	"adaptive: who leaves the stage out while packets only pass has the same T and statistics")
{
	const auto cost = [](uint32_t runs, uint32_t packets) {
		return runs * 400.0 + packets * 300.0;
	};
	const auto light = [](uint32_t runs, uint32_t packets) { return runs * 4.0 + packets * 3.0; };
	Core asks(64'000, true), pushes(64'000);
	asks.repeats = pushes.repeats = 2;
	for (uint64_t ms = 1; ms <= 60; ms++) {
		const bool busy = ms / 20 % 2; // the load comes and goes
		for (Core *core : {&asks, &pushes})
			busy ? core->run(ms * 1'000'000, 500, 16, cost)
				 : core->run(ms * 1'000'000, 500, 16, light);
		reframer_stats a, b;
		reframer_get_stats(asks.r, &a);
		reframer_get_stats(pushes.r, &b);
		a.packets_held_max = b.packets_held_max =
			0; // what passes through the stage is in it for a moment
		REQUIRE(std::memcmp(&a, &b, sizeof(a)) == 0);
		CHECK(asks.left_out == a.passed);
	}
	CHECK(asks.left_out > 50'000);
	reframer_stats stats;
	reframer_get_stats(asks.r, &stats);
	CHECK(stats.packets_in > stats.passed + 10'000);
}

TEST_CASE("new flows pass, known ones wait")
{
	Stage stage([](reframer_params &p) { p.bypass = REFRAMER_BYPASS_NEW_FLOW; });
	stage.push({{1, ack(1)}, {2, ack(2)}, {3, ack(1)}}, 0);
	CHECK(stage.poll(0) == std::vector<uint64_t>{1, 2});
	CHECK(stage.poll(64'000) == std::vector<uint64_t>{3});
	CHECK(stage.stats().bypassed == 2);
}

TEST_CASE("FIN, RST and PSH take their group along")
{
	Stage stage([](reframer_params &p) {
		p.early = REFRAMER_EARLY_FIN | REFRAMER_EARLY_RST | REFRAMER_EARLY_PSH;
	});
	stage.push({{1, ack(1)},
	            {2, ack(2)},
	            {3, ack(3)},
	            {4, with_flags(2, 0x11)},
	            {5, with_flags(1, 0x18)},
	            {6, with_flags(3, 0x04)},
	            {7, ack(4)}},
	           0);
	CHECK(stage.poll(0) == std::vector<uint64_t>{2, 4, 1, 5, 3, 6});
	CHECK(stage.stats().released[REFRAMER_BY_EARLY] == 3);
}

TEST_CASE("a class has its own T, and a group the shortest of its packets")
{
	reframer_rule rule = {};
	rule.protocol = 6;
	rule.port_low = rule.port_high = 443;
	rule.delay_ns = 5000;
	Stage stage([&](reframer_params &p) {
		p.rules = &rule;
		p.nb_rules = 1;
		p.key = REFRAMER_KEY_DESTINATION;
	});
	const auto to = [](const char *where, uint16_t port) {
		Tcp header;
		header.destination = port;
		Ip ip;
		ip.destination = where;
		return ethernet(type_ipv4, ipv4(ip, tcp(header)));
	};
	stage.push({{1, to("10.0.0.1", 80)}, {2, to("10.0.0.2", 80)}, {3, to("10.0.0.2", 443)}}, 1000);
	CHECK(reframer_next_deadline(stage.r) == 6000);
	CHECK(stage.poll(5999).empty());
	CHECK(stage.poll(6000) == std::vector<uint64_t>{2, 3});
	CHECK(stage.poll(65'000) == std::vector<uint64_t>{1});
}

TEST_CASE("zero delay groups each burst by itself")
{
	Stage stage([](reframer_params &p) { p.policy = REFRAMER_BURST; });
	stage.push({{1, ack(1)}, {2, ack(2)}, {3, ack(1)}}, 0);
	stage.push({{4, ack(2)}, {5, ack(1)}, {6, ack(2)}}, 0);
	CHECK(stage.poll(0) == std::vector<uint64_t>{1, 3, 2, 4, 6, 5});
}

TEST_CASE("a clock that starts anew does not hold packets for ever")
{
	Stage stage({});
	stage.push({{1, ack(1)}}, 3'600'000'000'000);
	CHECK(stage.poll(0).empty());
	CHECK(reframer_next_deadline(stage.r) == 64'000);
	CHECK(stage.poll(64'000) == std::vector<uint64_t>{1});
	CHECK(stage.stats().clock_backwards == 1);
}

TEST_CASE("room: all that a push accepts, and none while packets are overdue by more than T")
{
	Stage stage([](reframer_params &p) {
		p.max_packets = 32;
		p.delay_ns = 1000;
	});
	const uint32_t empty = reframer_room(stage.r, 0);
	CHECK(empty == 2 * 32);
	CHECK(reframer_room(nullptr, 0) == 0);
	uint64_t id = 0;
	while (const uint32_t room = reframer_room(stage.r, 0)) { // nothing is taken out
		std::vector<Packet> burst(std::min(room, 10u));
		for (Packet &packet : burst) {
			id++;
			packet = {id, ack(id)};
		}
		stage.push(burst, 0); // throws where less is accepted
	}
	CHECK(id == empty);
	CHECK(stage.poll(0).size() == empty - 32); // beyond the bound they were due
	CHECK(reframer_room(stage.r, 2000) == empty - 32);
	CHECK(reframer_room(stage.r, 2001) == 0);
	CHECK(stage.poll(2001).size() == 32);
	CHECK(reframer_room(stage.r, 2001) == empty);
}

TEST_CASE("TCP repair across the wrap of sequence numbers, and not across SYN")
{
	Stage stage([](reframer_params &p) { p.options = REFRAMER_OPT_TCP_REPAIR; });
	stage.push({{1, data(1, 100, 50)},
	            {2, data(1, 0xffffff00, 50)},
	            {3, data(1, 0xfffffff0, 50)},
	            {4, syn(1)},
	            {5, data(1, 7, 5)},
	            {6, data(1, 3, 4)},
	            {7, data(2, 9, 5)},
	            {8, data(2, 4, 5)}},
	           0);
	CHECK(stage.poll(64'000) == std::vector<uint64_t>{2, 3, 1, 4, 6, 5, 8, 7});
	CHECK(stage.stats().repaired == 7);
}

TEST_CASE("TCP repair sorts flows that share a group each for itself")
{
	Stage stage([](reframer_params &p) {
		p.options = REFRAMER_OPT_TCP_REPAIR;
		p.key = REFRAMER_KEY_DESTINATION;
	});
	stage.push(
		{{1, data(1, 200, 5)}, {2, data(2, 50, 5)}, {3, data(1, 100, 5)}, {4, data(2, 40, 5)}}, 0);
	CHECK(stage.poll(64'000) == std::vector<uint64_t>{3, 4, 1, 2});
}

TEST_CASE("thinned ACKs that nobody takes do not stop the stage")
{
	Stage stage([](reframer_params &p) {
		p.options = REFRAMER_OPT_ACK_THINNING;
		p.max_packets = 64;
	});
	uint64_t id = 0, out = 0;
	for (uint32_t round = 0; round < 200; round++) {
		std::vector<Packet> burst;
		for (uint32_t i = 0; i < 64; i++, id++)
			burst.push_back({id + 1, pure_ack(1, static_cast<uint32_t>(id))});
		stage.push(burst, round * 100'000);
		out += stage.poll(round * 100'000 + 64'000).size();
	}
	CHECK(out + stage.stats().packets_thinned == id);
	CHECK(stage.stats().packets_thinned <= 16);
}

TEST_CASE("hashes chosen to collide cost a group its wait at most")
{
	// All low bits equal, then all high bits equal, then consecutive numbers.
	for (const uint32_t shape : {0u, 1u, 2u}) {
		reframer_params params;
		reframer_default_params(&params);
		reframer_stage *r = nullptr;
		REQUIRE(reframer_create(&params, &r) == 0); // its seed is drawn, as for an attacker
		std::vector<void *> packets(1024);
		std::vector<uint32_t> hash(1024), wire(1024, 64);
		for (uint32_t i = 0; i < 1024; i++)
			hash[i] = shape == 0 ? i << 22 : shape == 1 ? 0xabc00000 | i << 2 : i;
		const reframer_burst burst = {packets.data(), nullptr,     nullptr,
		                              wire.data(),    hash.data(), 1024};
		CHECK(reframer_push(r, &burst, 0) == 1024);
		reframer_stats stats;
		reframer_get_stats(r, &stats);
		CHECK(stats.released[REFRAMER_BY_CAPACITY] < 20); // of 1024; as with hashes by chance
		reframer_free(r);
	}
}

// Hashes that fall into one bucket, as only who knows the seed can tell.
static std::vector<uint32_t> rivals_in_blocks(uint64_t seed)
{
	std::vector<reframer::stage::BlockBucket> storage(reframer::stage::BlockTable::least);
	reframer::stage::BlockTable table;
	table.init(storage.data(), seed);
	table.clear(reframer::stage::BlockTable::least, 0);
	std::vector<uint32_t> hashes;
	for (uint32_t h = 1; hashes.size() < 12; h++)
		if (table.bucket_of(h) == 0)
			hashes.push_back(h);
	return hashes;
}
static std::vector<uint32_t> rivals_in_slots(uint64_t seed, uint32_t max_packets)
{
	const uint32_t nb_buckets = reframer::stage::GroupTable::nb_buckets_for(max_packets);
	std::vector<reframer::stage::Bucket> storage(nb_buckets);
	reframer::stage::GroupTable table;
	table.init(storage.data(), nb_buckets, seed);
	std::vector<uint32_t> hashes;
	for (uint32_t h = 1; hashes.size() < 12; h++)
		if (table.bucket_of(h) == 0)
			hashes.push_back(h);
	return hashes;
}

TEST_CASE("in a full bucket of the group table the group that is due first makes way")
{
	constexpr uint64_t seed = 42;
	reframer_params params;
	reframer_default_params(&params);
	params.hash_seed = seed;
	params.max_packets = 32;
	std::vector<uint32_t> hashes;
	uint64_t nb_ways = 0;
	SUBCASE("blocks")
	{
		hashes = rivals_in_blocks(seed);
		nb_ways = reframer::stage::block_ways;
	}
	SUBCASE("slots: a policy looks at packets")
	{
		params.early = REFRAMER_EARLY_FIN;
		hashes = rivals_in_slots(seed, params.max_packets);
		nb_ways = reframer::stage::bucket_ways;
	}
	reframer_stage *r = nullptr;
	REQUIRE(reframer_create(&params, &r) == 0);
	const auto push = [&](uint64_t id, uint64_t now) {
		void *packet = reinterpret_cast<void *>(id);
		const uint32_t wire = 64, hash = hashes[id - 1];
		const Bytes frame(64);
		const uint8_t *const data = frame.data();
		const reframer_burst burst = {&packet, &data, &wire, &wire, &hash, 1};
		REQUIRE(reframer_push(r, &burst, now) == 1);
		void *out[8];
		reframer_run runs[8];
		uint32_t nb_runs = 8;
		const uint32_t n = reframer_poll(r, now, out, 8, runs, &nb_runs);
		if (n == 0)
			return uint64_t{0};
		CHECK(n == 1);
		CHECK(runs[0].reason == REFRAMER_BY_CAPACITY);
		return uint64_t(reinterpret_cast<uintptr_t>(out[0]));
	};
	for (uint64_t id = 1; id <= nb_ways; id++)
		CHECK(push(id, id * 100) == 0);
	// The ways are full. Each newcomer takes the way of the one that left, so way and age differ.
	for (uint64_t id = nb_ways + 1; id <= 12; id++)
		CHECK(push(id, id * 100) == id - nb_ways);
	reframer_free(r);
}

TEST_CASE("parameters out of range are refused")
{
	const auto create = [](auto change) {
		reframer_params params;
		reframer_default_params(&params);
		change(params);
		reframer_stage *r = nullptr;
		const int error = reframer_create(&params, &r);
		reframer_free(r);
		return error;
	};
	reframer_rule rule = {};
	rule.prefix_length = 33;
	rule.ip_version = 4;
	CHECK(create([](reframer_params &) {}) == 0);
	CHECK(create([](reframer_params &p) { p.size = 0; }) < 0);
	CHECK(create([](reframer_params &p) { p.policy = 3; }) < 0);
	CHECK(create([](reframer_params &p) { p.key = 4; }) < 0);
	CHECK(create([](reframer_params &p) { p.max_packets = 31; }) < 0);
	CHECK(create([](reframer_params &p) { p.max_packets = (1u << 20) + 1; }) < 0);
	CHECK(create([](reframer_params &p) { p.max_bytes = 0; }) < 0);
	CHECK(create([](reframer_params &p) { p.max_burst = 0; }) < 0);
	CHECK(create([](reframer_params &p) { p.bypass = 32; }) < 0);
	CHECK(create([](reframer_params &p) { p.early = 8; }) < 0);
	CHECK(create([](reframer_params &p) { p.options = 4; }) < 0);
	CHECK(create([](reframer_params &p) { p.lookahead = 129; }) < 0);
	CHECK(create([](reframer_params &p) { p.delay_ns = REFRAMER_MAX_DELAY_NS + 1; }) < 0);
	CHECK(create([&](reframer_params &p) {
			  p.rules = &rule;
			  p.nb_rules = 1;
		  }) < 0);
}
