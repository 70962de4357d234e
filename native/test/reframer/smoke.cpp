// The engine end to end through its C header: what a first user does.
#include "reframer/reframer.h"

#include <doctest/doctest.h>

#include <vector>

TEST_CASE("interleaved flows leave as runs, after T, in order")
{
	reframer_params params;
	reframer_default_params(&params);
	params.hash_seed = 1;
	reframer_stage *r = nullptr;
	REQUIRE(reframer_create(&params, &r) == 0);

	void *packets[12];
	uint32_t hash[12], wire[12];
	for (uintptr_t i = 0; i < 12; i++) {
		packets[i] = reinterpret_cast<void *>(i + 1);
		hash[i] = static_cast<uint32_t>(i % 3);
		wire[i] = 100;
	}
	const reframer_burst burst = {packets, nullptr, nullptr, wire, hash, 12};
	CHECK(reframer_push(r, &burst, 1000) == 12);
	CHECK(reframer_next_deadline(r) == 65000);

	void *out[32];
	reframer_run runs[32];
	uint32_t nb_runs = 32;
	CHECK(reframer_poll(r, 64999, out, 32, runs, &nb_runs) == 0);
	CHECK(nb_runs == 0);
	nb_runs = 32;
	REQUIRE(reframer_poll(r, 65000, out, 32, runs, &nb_runs) == 12);
	REQUIRE(nb_runs == 3);
	for (uintptr_t i = 0; i < 12; i++)
		CHECK(reinterpret_cast<uintptr_t>(out[i]) == i / 4 + i % 4 * 3 + 1);

	reframer_stats stats;
	reframer_get_stats(r, &stats);
	CHECK(stats.packets_in == 12);
	CHECK(stats.packets_out == 12);
	CHECK(stats.runs_in == 12);
	CHECK(stats.runs_out == 3);
	CHECK(stats.bytes_in == 1200);
	CHECK(stats.bytes_out == 1200);
	CHECK(stats.bytes_held == 0);
	CHECK(stats.released[REFRAMER_BY_DEADLINE] == 3);
	CHECK(stats.hold_max_ns == 64000);
	uint64_t holds[REFRAMER_HISTOGRAM_BUCKETS];
	reframer_hold_histogram(r, holds, REFRAMER_HISTOGRAM_BUCKETS);
	CHECK(reframer_hold_quantile(holds, REFRAMER_HISTOGRAM_BUCKETS, 0.5) <= 64000);
	CHECK(reframer_hold_quantile(holds, REFRAMER_HISTOGRAM_BUCKETS, 0.5) >= 64000 * 15 / 16);
	CHECK(reframer_next_deadline(r) == UINT64_MAX);
	reframer_free(r);
}
