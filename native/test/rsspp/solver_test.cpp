#include "measure/median.hpp"
#include "reframer/rsspp.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <random>
#include <set>
#include <vector>

namespace {

struct Case {
	std::vector<float> load;
	std::vector<uint16_t> owner;
	std::vector<uint8_t> active, pinned;
	std::vector<uint16_t> node;
	uint32_t nb_cores = 1;

	rsspp_problem problem() const
	{
		rsspp_problem p = {};
		p.nb_buckets = uint32_t(load.size());
		p.nb_cores = nb_cores;
		p.bucket_load = load.data();
		p.owner = owner.data();
		p.active = active.empty() ? nullptr : active.data();
		p.pinned = pinned.empty() ? nullptr : pinned.data();
		p.node = node.empty() ? nullptr : node.data();
		return p;
	}

	std::vector<float> core_loads(const std::vector<uint16_t> &owners) const
	{
		std::vector<float> sum(nb_cores);
		for (size_t b = 0; b < load.size(); b++)
			sum[owners[b]] += load[b];
		return sum;
	}
};

// Heavy-tailed buckets (Pareto, shape 0.9 like the campus flow seconds), total load 0.8 a core.
Case random_case(std::mt19937_64 &rng, uint32_t buckets, uint32_t cores)
{
	Case c;
	c.nb_cores = cores;
	std::uniform_real_distribution<double> unit(1e-9, 1);
	double total = 0;
	for (uint32_t b = 0; b < buckets; b++) {
		c.load.push_back(float(std::min(3000.0, std::pow(unit(rng), -1 / 0.9))));
		total += c.load.back();
		c.owner.push_back(uint16_t(rng() % cores));
	}
	for (float &l : c.load)
		l *= float(0.8 * cores / total);
	return c;
}

struct Solver {
	Solver(uint32_t buckets, uint32_t cores)
	{
		REQUIRE(rsspp_solver_create(buckets, cores, &solver) == 0);
	}
	~Solver() { rsspp_solver_free(solver); }
	int run(rsspp_method method, const Case &c)
	{
		const rsspp_problem p = c.problem();
		result.assign(c.load.size(), 0);
		return rsspp_solve(solver, method, &p, result.data(), &solution);
	}
	rsspp_solver *solver = nullptr;
	std::vector<uint16_t> result;
	rsspp_solution solution = {};
};

} // namespace

TEST_CASE("every method: what it reports is what it did, pins hold, idle cores stay empty")
{
	std::mt19937_64 rng(1);
	for (int round = 0; round < 400; round++) {
		const uint32_t cores = 1 + uint32_t(rng() % 20), buckets = cores + uint32_t(rng() % 200);
		Case c = random_case(rng, buckets, cores);
		if (round % 3 == 0) {
			c.active.assign(cores, 1);
			for (uint8_t &a : c.active)
				a = rng() % 3 != 0;
			c.active[rng() % cores] = 1;
		}
		if (round % 4 == 0) {
			c.pinned.resize(buckets);
			for (uint8_t &p : c.pinned)
				p = rng() % 5 == 0;
		}
		if (round % 5 == 0) {
			c.node.resize(cores);
			for (uint16_t &n : c.node)
				n = uint16_t(rng() % 2);
		}
		Solver s(buckets, cores);
		for (rsspp_method m : {RSSPP_STATIC, RSSPP_GREEDY, RSSPP_OURS, RSSPP_LPT}) {
			CAPTURE(round);
			CAPTURE(int(m));
			REQUIRE(s.run(m, c) == 0);
			uint32_t moves = 0;
			for (uint32_t b = 0; b < buckets; b++) {
				REQUIRE(s.result[b] < cores);
				moves += s.result[b] != c.owner[b];
				const bool idle = !c.active.empty() && !c.active[c.owner[b]];
				if (!c.active.empty())
					REQUIRE(c.active[s.result[b]]);
				if (!c.pinned.empty() && c.pinned[b] && !idle)
					REQUIRE(s.result[b] == c.owner[b]);
			}
			const auto loads = c.core_loads(s.result);
			CHECK(moves == s.solution.nb_moves);
			CHECK(s.solution.worst_after ==
			      doctest::Approx(*std::max_element(loads.begin(), loads.end())).epsilon(1e-4));
			CHECK(s.solution.worst_after >= s.solution.lower_bound * 0.9999f);
			if (m == RSSPP_OURS && c.active.empty())
				CHECK(s.solution.worst_after <= s.solution.worst_before * 1.0001f);
		}
	}
}

TEST_CASE("static moves nothing while its cores are there")
{
	std::mt19937_64 rng(2);
	const Case c = random_case(rng, 128, 8);
	Solver s(128, 8);
	REQUIRE(s.run(RSSPP_STATIC, c) == 0);
	CHECK(s.solution.nb_moves == 0);
	CHECK(s.result == c.owner);
}

TEST_CASE("exact is the optimum of all assignments, and ours comes near it")
{
	std::mt19937_64 rng(3);
	std::vector<double> gap;
	for (int round = 0; round < 60; round++) {
		const uint32_t cores = 2 + uint32_t(rng() % 2), buckets = 5 + uint32_t(rng() % 4);
		const Case c = random_case(rng, buckets, cores);
		float best = INFINITY;
		uint32_t total = 1;
		for (uint32_t b = 0; b < buckets; b++)
			total *= cores;
		std::vector<uint16_t> owner(buckets);
		for (uint32_t code = 0; code < total; code++) {
			uint32_t rest = code;
			for (uint32_t b = 0; b < buckets; b++, rest /= cores)
				owner[b] = uint16_t(rest % cores);
			const auto loads = c.core_loads(owner);
			best = std::min(best, *std::max_element(loads.begin(), loads.end()));
		}
		Solver s(buckets, cores);
		REQUIRE(s.run(RSSPP_EXACT, c) == 0);
		CHECK(s.solution.worst_after == doctest::Approx(best).epsilon(1e-4));
		REQUIRE(s.run(RSSPP_OURS, c) == 0);
		gap.push_back(s.solution.worst_after / best - 1);
	}
	CHECK(reframer::engine::median(gap) < 0.02);
}

TEST_CASE("ours settles within 1 % of the lower bound and moves less than LPT by far")
{
	std::mt19937_64 rng(4);
	for (uint32_t cores : {8u, 16u}) {
		std::vector<double> gap, moves;
		Solver s(512, cores);
		for (int round = 0; round < 100; round++) {
			REQUIRE(s.run(RSSPP_OURS, random_case(rng, 512, cores)) == 0);
			gap.push_back(s.solution.worst_after / s.solution.lower_bound - 1);
			moves.push_back(s.solution.nb_moves);
		}
		CHECK(reframer::engine::median(gap) < 0.01);
		CHECK(reframer::engine::median(moves) < 128);
	}
}

TEST_CASE("ours keeps the better of its attempts, not the last")
{
	// Small problems on which meeting in the middle ends worse than filling up.
	struct {
		uint32_t nb_cores;
		std::vector<float> load;
		std::vector<uint16_t> owner;
		float worst;
	} problems[] = {
		{4, {8, 14, 14, 15, 9, 2, 4, 4}, {1, 2, 0, 3, 3, 3, 3, 3}, 18},
		{5, {3, 12, 7, 3, 3, 4, 13, 12, 15, 3, 4, 14}, {0, 1, 0, 1, 0, 4, 0, 2, 3, 0, 0, 0}, 19},
	};
	for (const auto &p : problems) {
		Case c;
		c.nb_cores = p.nb_cores;
		c.load = p.load;
		c.owner = p.owner;
		Solver s(uint32_t(c.load.size()), c.nb_cores);
		REQUIRE(s.run(RSSPP_OURS, c) == 0);
		CHECK(s.solution.worst_after <= p.worst);
	}
}

TEST_CASE("a solved problem is left alone")
{
	std::mt19937_64 rng(5);
	Solver s(256, 8);
	Case c = random_case(rng, 256, 8);
	REQUIRE(s.run(RSSPP_OURS, c) == 0);
	c.owner = s.result;
	REQUIRE(s.run(RSSPP_OURS, c) == 0);
	CHECK(s.solution.nb_moves == 0);
}

TEST_CASE("an elephant gets a core of its own, the rest is levelled over the others")
{
	Case c;
	c.nb_cores = 4;
	c.load.assign(64, 0.02f);
	c.load[5] = 0.9f;
	for (uint32_t b = 0; b < 64; b++)
		c.owner.push_back(uint16_t(b % 4));
	Solver s(64, 4);
	REQUIRE(s.run(RSSPP_OURS, c) == 0);
	CHECK(s.solution.nb_elephants == 1);
	const auto loads = c.core_loads(s.result);
	CHECK(loads[s.result[5]] == doctest::Approx(0.9).epsilon(0.01));
	CHECK(s.solution.least_after == doctest::Approx(63 * 0.02 / 3).epsilon(0.1));
	// The published greedy leaves the small buckets with the elephant where it cannot place it.
	REQUIRE(s.run(RSSPP_GREEDY, c) == 0);
	CHECK(s.solution.worst_after >= 0.9f);
}

TEST_CASE("greedy: the best pass is returned, never one worse than the start")
{
	std::mt19937_64 rng(6);
	Solver s(128, 64);
	for (int round = 0; round < 200; round++) {
		const Case c = random_case(rng, 128, 64);
		REQUIRE(s.run(RSSPP_GREEDY, c) == 0);
		double before = 0, after = 0;
		const auto old_loads = c.core_loads(c.owner), new_loads = c.core_loads(s.result);
		for (uint32_t i = 0; i < 64; i++) {
			before += std::pow(old_loads[i] - s.solution.mean, 2);
			after += std::pow(new_loads[i] - s.solution.mean, 2);
		}
		CHECK(after <= before * 1.0001);
	}
}

TEST_CASE("removing a core counts the load that is already on the others, heaviest bucket first")
{
	Case c;
	c.nb_cores = 3;
	c.active = {1, 1, 0};
	c.load = {0.7f, 0.1f, 0.3f, 0.3f};
	c.owner = {0, 1, 2, 2};
	Solver s(4, 3);
	REQUIRE(s.run(RSSPP_STATIC, c) == 0);
	CHECK(s.result == std::vector<uint16_t>{0, 1, 1, 1});
}

TEST_CASE("buckets stay on their NUMA node unless it pays more than the penalty")
{
	Case c;
	c.nb_cores = 4;
	c.node = {0, 0, 1, 1};
	// Node 0 is uneven inside, node 1 is slightly lighter: the gap between nodes is not worth it.
	for (int i = 0; i < 40; i++) {
		c.load.push_back(0.02f);
		c.owner.push_back(uint16_t(i < 28 ? 0 : 1));
	}
	for (int i = 0; i < 39; i++) {
		c.load.push_back(0.02f);
		c.owner.push_back(uint16_t(2 + i % 2));
	}
	Solver s(79, 4);
	REQUIRE(s.run(RSSPP_OURS, c) == 0);
	uint32_t crossed = 0;
	for (size_t b = 0; b < c.load.size(); b++)
		crossed += c.node[c.owner[b]] != c.node[s.result[b]];
	CHECK(crossed == 0);
	CHECK(s.solution.nb_moves >= 8);
}

TEST_CASE("what is malformed is refused")
{
	rsspp_solver *solver = nullptr;
	CHECK(rsspp_solver_create(0, 4, &solver) == -EINVAL);
	CHECK(rsspp_solver_create(RSSPP_MAX_BUCKETS + 1, 4, &solver) == -EINVAL);
	CHECK(rsspp_solver_create(4, 0, &solver) == -EINVAL);
	Solver s(4, 2);
	Case c;
	c.nb_cores = 2;
	c.load = {0.1f, NAN, 0.1f, 0.1f};
	c.owner = {0, 1, 0, 1};
	CHECK(s.run(RSSPP_OURS, c) == -EINVAL);
	c.load[1] = -1;
	CHECK(s.run(RSSPP_OURS, c) == -EINVAL);
	c.load[1] = 0.1f;
	c.owner[2] = 2;
	CHECK(s.run(RSSPP_OURS, c) == -EINVAL);
	c.owner[2] = 0;
	c.active = {0, 0};
	CHECK(s.run(RSSPP_OURS, c) == -EINVAL);
	std::mt19937_64 rng(8);
	Solver big(64, 8);
	CHECK(big.run(RSSPP_EXACT, random_case(rng, 64, 8)) == -E2BIG);
}
