// The loops for each instruction set do the same, where the ring grows, goes around and shrinks, and with
// groups of thousands.
#include "support/seed.hpp"

#include "reframer/reframer.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

namespace {

struct Freed {
	void operator()(reframer_stage *r) const { reframer_free(r); }
};
using Stage = std::unique_ptr<reframer_stage, Freed>;

Stage stage_with(const char *kernel, const reframer_params &params)
{
	setenv("REFRAMER_KERNEL", kernel, 1);
	reframer_stage *created = nullptr;
	REQUIRE(reframer_create(&params, &created) == 0);
	unsetenv("REFRAMER_KERNEL");
	return Stage(created);
}

struct Polled {
	std::vector<void *> packets;
	std::vector<reframer_run> runs;
};

Polled poll(reframer_stage *r, uint64_t now, uint32_t room, uint32_t run_room)
{
	Polled polled;
	polled.packets.resize(room);
	polled.runs.resize(run_room);
	uint32_t nb_runs = run_room;
	const uint32_t n =
		reframer_poll(r, now, polled.packets.data(), room, polled.runs.data(), &nb_runs);
	polled.packets.resize(n);
	polled.runs.resize(nb_runs);
	return polled;
}

bool same(const Polled &a, const Polled &b)
{
	return a.packets == b.packets && a.runs.size() == b.runs.size() &&
	       std::memcmp(a.runs.data(), b.runs.data(), a.runs.size() * sizeof(reframer_run)) == 0;
}

std::vector<uint64_t> holds(const reframer_stage *r)
{
	std::vector<uint64_t> histogram(REFRAMER_HISTOGRAM_BUCKETS);
	reframer_hold_histogram(r, histogram.data(), REFRAMER_HISTOGRAM_BUCKETS);
	return histogram;
}

// Loads that swell and ebb: rounds of few packets and of many, few flows and many.
void run(uint64_t seed)
{
	std::mt19937_64 random(seed);
	const auto below = [&](uint64_t n) { return static_cast<uint32_t>(random() % n); };
	reframer_params params;
	reframer_default_params(&params);
	params.max_packets = std::array{64u, 1000u, 4096u, 20'000u}[below(4)];
	params.max_burst = std::array{3u, 128u, 1020u, 1u << 20}[below(4)];
	params.delay_ns = std::array{1000u, 64'000u, 1'000'000u}[below(3)];
	params.hash_seed = 1 + below(1000);
	std::vector<Stage> stages;
	for (const char *kernel : {"scalar", "avx2", "avx512"})
		stages.push_back(stage_with(kernel, params));
	uint64_t now = 1'000'000, id = 0, given = 0;
	for (int round = 0; round < 30; round++) {
		const uint32_t flows = std::array{1u, 7u, 300u, 50'000u}[below(4)], gap = below(20'000);
		const uint32_t longest = 1 + below(std::min(params.max_packets, 300u));
		for (int push = 0; push < 60; push++) {
			const uint32_t n = 1 + below(longest);
			std::vector<void *> packets(n);
			std::vector<uint32_t> hash(n), length(n);
			for (uint32_t i = 0; i < n; i++) {
				packets[i] = reinterpret_cast<void *>(++id);
				hash[i] = below(flows) * 2654435761u;
				length[i] = below(50) ? 60 + below(1500) : below(1u << 31);
			}
			const reframer_burst burst = {packets.data(), nullptr,     nullptr,
			                              length.data(),  hash.data(), n};
			now += gap;
			for (const Stage &stage : stages)
				REQUIRE(reframer_push(stage.get(), &burst, now) == n);
			for (;;) {
				const uint32_t room = 1 + below(600), run_room = 1 + below(600);
				const Polled first = poll(stages[0].get(), now, room, run_room);
				for (size_t k = 1; k < stages.size(); k++)
					REQUIRE(same(first, poll(stages[k].get(), now, room, run_room)));
				given += first.packets.size();
				if (first.packets.size() < room && first.runs.size() < run_room)
					break;
			}
		}
		now += below(2'000'000);
	}
	reframer_stats first, other;
	reframer_get_stats(stages[0].get(), &first);
	CHECK(first.packets_in == id);
	CHECK(first.packets_out == given);
	for (size_t k = 1; k < stages.size(); k++) {
		reframer_get_stats(stages[k].get(), &other);
		CHECK(std::memcmp(&first, &other, sizeof first) == 0);
		CHECK(holds(stages[0].get()) == holds(stages[k].get()));
	}
}

} // namespace

TEST_CASE("every kernel gives out the same packets, runs and statistics")
{
	const uint64_t seed = reframer::test::seed_for("kernels", 20220404);
	for (uint64_t i = 0; i < 150; i++) {
		CAPTURE(seed + i);
		run(seed + i);
	}
}

TEST_CASE("groups that wait are found again when the ring has closed the gaps of others")
{
	reframer_params params;
	reframer_default_params(&params);
	params.max_packets = 32;
	params.max_burst = 12;
	params.delay_ns = 1'000'000;
	reframer_stage *created = nullptr;
	REQUIRE(reframer_create(&params, &created) == 0);
	const Stage stage(created);
	uint64_t now = 1'000'000, id = 0;
	const auto push = [&](uint32_t hash, uint32_t n) {
		std::vector<void *> packets(n);
		for (void *&packet : packets)
			packet = reinterpret_cast<void *>(++id);
		const std::vector<uint32_t> hashes(n, hash);
		const reframer_burst burst = {packets.data(), nullptr, nullptr, nullptr, hashes.data(), n};
		REQUIRE(reframer_push(stage.get(), &burst, now) == n);
		return poll(stage.get(), now, 64, 64);
	};
	// Two blocks each, which leave at once but for the groups in front of them.
	const auto fill = [&](uint32_t first, uint32_t nb) {
		for (uint32_t i = 0; i < nb; i++)
			REQUIRE(push((first + i) * 2654435761u, 12).packets.size() == 12);
	};
	push(1, 1);
	fill(100, 50);
	push(2, 9);
	fill(200, 2000);
	push(1, 1);
	push(2, 2);
	now += params.delay_ns;
	const Polled last = poll(stage.get(), now, 64, 64);
	REQUIRE(last.runs.size() == 2);
	CHECK(last.runs[0].count == 2);
	CHECK(last.runs[1].count == 11);
	CHECK(last.packets.size() == 13);
}
