#include "reframer/rsspp.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <random>
#include <vector>

namespace {

struct Balancer {
	explicit Balancer(uint32_t buckets, uint32_t cores, bool autoscale = false,
	                  uint32_t method = RSSPP_OURS, uint32_t hold_epochs = 0)
		: counter(buckets), moves(buckets)
	{
		rsspp_balancer_default_params(&params);
		params.nb_buckets = buckets;
		params.nb_cores = cores;
		params.autoscale = autoscale;
		params.method = method;
		params.hold_epochs = hold_epochs;
		REQUIRE(rsspp_balancer_create(&params, &balancer) == 0);
		const std::vector<float> idle(cores);
		step(idle);
	}
	~Balancer() { rsspp_balancer_free(balancer); }

	int step(const std::vector<float> &load, const float *fill = nullptr)
	{
		const rsspp_epoch epoch = {counter.data(), load.data(), fill, nullptr};
		return rsspp_balancer_step(balancer, &epoch, moves.data(), &report);
	}

	// One epoch in which a packet costs `cost` of a core and bucket b brings packets[b].
	int epoch(const std::vector<uint64_t> &packets, double cost)
	{
		std::vector<float> load(params.nb_cores);
		const uint16_t *table = rsspp_balancer_table(balancer);
		for (size_t b = 0; b < packets.size(); b++) {
			counter[b] += packets[b];
			load[table[b]] += float(double(packets[b]) * cost);
		}
		std::vector<float> fill(params.nb_cores);
		for (size_t c = 0; c < load.size(); c++) {
			fill[c] = load[c] > 1 ? 1.0f : 0.0f;
			load[c] = std::min(load[c], 1.0f);
		}
		return step(load, fill.data());
	}

	rsspp_balancer_params params;
	rsspp_balancer *balancer = nullptr;
	std::vector<uint64_t> counter;
	std::vector<rsspp_move> moves;
	rsspp_report report = {};
};

} // namespace

TEST_CASE("moves and table agree, and a balanced load is left alone")
{
	Balancer b(128, 8);
	std::mt19937_64 rng(1);
	std::vector<uint64_t> packets(128);
	for (uint64_t &p : packets)
		p = 100 + rng() % 2000;
	std::vector<uint16_t> mirror(128);
	for (uint32_t i = 0; i < 128; i++)
		mirror[i] = uint16_t(i % 8);
	int total = 0;
	for (int e = 0; e < 20; e++) {
		const int n = b.epoch(packets, 4e-5);
		REQUIRE(n >= 0);
		CHECK(uint32_t(n) == b.report.solution.nb_moves);
		for (int i = 0; i < n; i++) {
			CHECK(mirror[b.moves[size_t(i)].bucket] == b.moves[size_t(i)].from);
			mirror[b.moves[size_t(i)].bucket] = b.moves[size_t(i)].to;
		}
		CHECK(std::equal(mirror.begin(), mirror.end(), rsspp_balancer_table(b.balancer)));
		if (e >= 3)
			total += n;
	}
	CHECK(total == 0);
	CHECK(b.report.imbalance_before_percent < 5);
}

TEST_CASE(
	"noise widens the levelling: about half the moves, and a load that comes to rest is levelled closely")
{
	std::mt19937_64 rng(11);
	std::vector<double> base(512);
	for (double &x : base)
		x = 200 + double(rng() % 2000);
	const auto noisy = [&](Balancer &b, int epochs) {
		uint64_t moves = 0;
		for (int e = 0; e < epochs; e++) {
			std::vector<uint64_t> packets(512);
			for (size_t i = 0; i < 512; i++)
				packets[i] = uint64_t(base[i] * (0.5 + double(rng() % 1000) / 1000));
			moves += uint64_t(b.epoch(packets, 0.7 * 8 / (512 * 1200.0)));
		}
		return moves;
	};
	Balancer ours(512, 8), greedy(512, 8, false, RSSPP_GREEDY, 1);
	const uint64_t by_ours = noisy(ours, 200), by_greedy = noisy(greedy, 200);
	CHECK(by_ours * 2 <= by_greedy);
	std::vector<uint64_t> still(512);
	for (size_t i = 0; i < 512; i++)
		still[i] = uint64_t(base[i]);
	for (int e = 0; e < 40; e++)
		ours.epoch(still, 0.7 * 8 / (512 * 1200.0));
	CHECK(ours.report.solution.worst_after <= ours.report.solution.lower_bound * 1.01f);
}

TEST_CASE("a fill level that is no number is none")
{
	Balancer with(64, 2), without(64, 2);
	const float odd[] = {NAN, 0}, none[] = {0, 0};
	for (int e = 0; e < 5; e++) {
		for (size_t bucket = 0; bucket < 64; bucket++) {
			const uint64_t packets = bucket % 2 ? 10 : 1000; // of core 0 by the first table
			with.counter[bucket] += packets;
			without.counter[bucket] += packets;
		}
		const std::vector<float> load = {1.0f, 0.01f};
		const int n = with.step(load, odd);
		CHECK(n == without.step(load, none));
		if (e == 0)
			CHECK(n > 0);
		for (int i = 0; i < n; i++)
			CHECK(with.moves[size_t(i)].bucket == without.moves[size_t(i)].bucket);
	}
}

TEST_CASE("counters may wrap and are never reset")
{
	Balancer b(4, 2);
	for (uint64_t &c : b.counter)
		c = UINT64_MAX - 10;
	b.step({0, 0});
	for (uint64_t &c : b.counter)
		c += 100;
	b.counter[0] += 300;
	b.step({0.8f, 0.4f});
	CHECK(b.report.imbalance_before_percent == doctest::Approx(100.0 * (500 - 200) / 200));
}

TEST_CASE("a moved bucket stays for the hold time")
{
	Balancer b(64, 4, false, RSSPP_OURS, 1);
	std::mt19937_64 rng(2);
	std::vector<int> last(64, -10);
	for (int e = 0; e < 200; e++) {
		std::vector<uint64_t> packets(64);
		for (uint64_t &p : packets)
			p = rng() % 5000;
		const int n = b.epoch(packets, 1e-5);
		for (int i = 0; i < n; i++) {
			const uint16_t bucket = b.moves[size_t(i)].bucket;
			CHECK(e - last[bucket] > 1);
			last[bucket] = e;
		}
	}
}

TEST_CASE("autoscale: cores follow the load, several at once, without flapping")
{
	Balancer b(512, 16, true);
	std::vector<uint64_t> packets(512, 100);
	auto run = [&](double cores_of_load, int epochs) {
		int reversals = 0, direction = 0;
		for (int e = 0; e < epochs; e++) {
			b.epoch(packets, cores_of_load / (512.0 * 100));
			const int d = b.report.cores_changed > 0 ? 1 : b.report.cores_changed < 0 ? -1 : 0;
			reversals += d != 0 && direction != 0 && d != direction;
			direction = d ? d : direction;
		}
		return reversals;
	};
	CHECK(run(1.5, 30) == 0);
	CHECK(b.report.nb_active == 2);
	CHECK(run(8.0, 4) <= 1); // from 2 to 10: the load was clipped, so it takes a few epochs
	run(8.0, 20);
	CHECK(b.report.nb_active >= 10);
	CHECK(b.report.nb_active <= 11);
	CHECK(run(8.0, 100) == 0);
	run(0.1, 30);
	CHECK(b.report.nb_active == 1);
}

TEST_CASE("epochs are short while a core is busy, and for a second after")
{
	Balancer b(8, 2);
	CHECK(b.report.next_epoch_us == 100'000);
	b.step({0.89f, 0.5f});
	CHECK(b.report.next_epoch_us == 100'000);
	b.step({0.5f, 0.91f});
	uint64_t short_us = 0;
	for (; b.report.next_epoch_us == 10'000; b.step({0.5f, 0.5f}))
		short_us += b.report.next_epoch_us;
	CHECK(short_us == 1'000'000);
	CHECK(b.report.next_epoch_us == 100'000);
}

TEST_CASE("autoscale counts time, not epochs: short ones give no core back sooner")
{
	Balancer b(512, 16, true);
	const std::vector<uint64_t> packets(512, 100);
	const auto epoch = [&](double cores_of_load) {
		b.epoch(packets, cores_of_load / (512.0 * 100));
	};
	for (int e = 0; e < 20; e++)
		epoch(12);
	REQUIRE(b.report.nb_active == 15);
	epoch(14.5); // all are in use then: short epochs
	REQUIRE(b.report.nb_active == 16);
	REQUIRE(b.report.next_epoch_us == 10'000);
	uint64_t calm_us = 0;
	const uint32_t active = b.report.nb_active;
	while (b.report.nb_active >= active && calm_us < 10'000'000) {
		calm_us += b.report.next_epoch_us;
		epoch(4);
	}
	CHECK(calm_us >= 900'000);
	CHECK(calm_us <= 1'600'000);
}

TEST_CASE("a dead core is emptied at the next epoch, whatever the method")
{
	for (uint32_t method : {RSSPP_STATIC, RSSPP_GREEDY, RSSPP_OURS, RSSPP_LPT}) {
		Balancer b(128, 4, false, method);
		const std::vector<uint64_t> packets(128, 10);
		b.epoch(packets, 1e-4);
		REQUIRE(rsspp_balancer_remove_core(b.balancer, 2) == 0);
		b.epoch(packets, 1e-4);
		const uint16_t *table = rsspp_balancer_table(b.balancer);
		CHECK(std::count(table, table + 128, 2) == 0);
		CHECK(b.report.nb_active == 3);
		REQUIRE(rsspp_balancer_restore_core(b.balancer, 2) == 0);
		CHECK(rsspp_balancer_restore_core(b.balancer, 2) == -EINVAL);
	}
	Balancer one(16, 1);
	CHECK(rsspp_balancer_remove_core(one.balancer, 0) == -EINVAL);
}

TEST_CASE("autoscale: where the only active core dies, the next one is of its node")
{
	const uint16_t node[] = {0, 1, 0, 1};
	rsspp_balancer_params p;
	rsspp_balancer_default_params(&p);
	p.nb_buckets = 16;
	p.nb_cores = 4;
	p.autoscale = 1;
	p.node = node;
	rsspp_balancer *b = nullptr;
	REQUIRE(rsspp_balancer_create(&p, &b) == 0);
	const uint64_t packets[16] = {};
	const float idle[4] = {};
	const rsspp_epoch epoch = {packets, idle, nullptr, nullptr};
	rsspp_move moves[16];
	rsspp_report report;
	for (int e = 0; e < 15; e++)
		REQUIRE(rsspp_balancer_step(b, &epoch, moves, &report) >= 0);
	REQUIRE(report.nb_active == 1);
	const uint16_t last = rsspp_balancer_table(b)[0];
	REQUIRE(node[last] == 1);
	REQUIRE(rsspp_balancer_remove_core(b, last) == 0);
	CHECK(rsspp_balancer_step(b, &epoch, moves, &report) == 16);
	CHECK(report.nb_active == 1);
	CHECK(rsspp_balancer_table(b)[0] == (last ^ 2));
	rsspp_balancer_free(b);
}

TEST_CASE("autoscale: fewer cores may be left than shall be kept")
{
	rsspp_balancer_params p;
	rsspp_balancer_default_params(&p);
	p.nb_buckets = 16;
	p.nb_cores = p.min_cores = 4;
	p.autoscale = 1;
	rsspp_balancer *b = nullptr;
	REQUIRE(rsspp_balancer_create(&p, &b) == 0);
	uint64_t packets[16] = {};
	const float load[4] = {0.5f, 0.5f, 0.5f, 0.5f};
	rsspp_move moves[16];
	rsspp_report report;
	REQUIRE(rsspp_balancer_remove_core(b, 2) == 0);
	for (int e = 0; e < 15; e++) {
		const rsspp_epoch epoch = {packets, load, nullptr, nullptr};
		REQUIRE(rsspp_balancer_step(b, &epoch, moves, &report) >= 0);
		for (uint64_t &count : packets)
			count += 100;
	}
	CHECK(report.nb_active == 3);
	rsspp_balancer_free(b);
}

TEST_CASE("moves that the device refused are taken back")
{
	Balancer b(64, 4);
	std::vector<uint64_t> packets(64, 10);
	packets[0] = 500;
	const int n = b.epoch(packets, 1e-4);
	REQUIRE(n > 0);
	REQUIRE(rsspp_balancer_reject(b.balancer, b.moves.data(), uint32_t(n)) == 0);
	const uint16_t *table = rsspp_balancer_table(b.balancer);
	for (uint32_t i = 0; i < 64; i++)
		CHECK(table[i] == i % 4);
}

TEST_CASE("parameters out of range are refused")
{
	rsspp_balancer *out = nullptr;
	rsspp_balancer_params p;
	auto refused = [&](auto change) {
		rsspp_balancer_default_params(&p);
		p.nb_cores = 4;
		change();
		return rsspp_balancer_create(&p, &out) == -EINVAL;
	};
	CHECK(refused([&] { p.size = 4; }));
	CHECK(refused([&] { p.nb_buckets = 1; }));
	CHECK(refused([&] { p.nb_cores = 0; }));
	CHECK(refused([&] { p.method = 9; }));
	CHECK(refused([&] { p.smoothing = 0; }));
	CHECK(refused([&] { p.min_cores = 5; }));
	CHECK(refused([&] { p.target_load = 2; }));
	CHECK(refused([&] { p.interval_us = 0; }));
	CHECK(refused([&] { p.busy_interval_us = 0; }));
	CHECK(refused([&] { p.busy_interval_us = p.interval_us + 1; }));
}
