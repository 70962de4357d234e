// Job `soak`: random policies, keys, capacities, clocks and migrations at native speed.
//
// spec   {"packets": 10000000, "seed": 1}
// record {"packets","lost","duplicated","reordered","overHeld","seconds","thinned","moves","rounds",
//         "seed"}; exit code 1 when any of the four counts of broken promises is not 0, and then
//         also {"firstBroken": {"round","seed"}} so that the round can be run alone ("round" in the
//         specification).
#include "lab/reframer/soak.hpp"

#include "jobs/spec_reader.hpp"
#include "lab/captures/capture_input.hpp"

#include <algorithm>
#include <chrono>

namespace reframer::lab {

namespace {

// Long enough to fill every structure, short enough for many different instances.
constexpr uint64_t packets_per_round = 100'000;

} // namespace

void run_soak(const Json &spec)
{
	SpecReader in(spec, "");
	const uint64_t packets = in.integer("packets", 10'000'000, 1, 1'000'000'000'000);
	const uint64_t seed = in.integer("seed", 1, 0, UINT32_MAX);
	const bool single = in.has("round");
	const uint64_t only = in.integer("round", 0, 0, UINT32_MAX);
	in.finish();

	SoakCounts counts;
	Json first = nullptr;
	const auto start = std::chrono::steady_clock::now();
	Progress progress("packets", packets);
	for (uint64_t round = only; counts.packets < packets; round++) {
		const uint64_t round_seed = seed << 32 | round;
		const uint64_t size = std::min(packets_per_round, packets - counts.packets);
		const uint64_t broken = counts.broken();
		// Every fourth round has several cores.
		if (round % 4 == 3)
			soak_cores(round_seed, size, counts);
		else
			soak_stage(round_seed, size, counts);
		if (first.is_null() && counts.broken() > broken)
			first = {{"round", round}, {"seed", seed}};
		progress(counts.packets);
		if (single)
			break;
	}
	const double seconds =
		std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
	Json record =
		NAMED(counts.packets, counts.lost, counts.duplicated, counts.reordered, counts.over_held,
	          counts.thinned, counts.moves, counts.rounds, seconds, seed);
	if (!first.is_null())
		record["firstBroken"] = first;
	emit(record);
	if (counts.broken() > 0)
		throw JobError(
			"promise-broken",
			"packets were lost, duplicated, reordered or held too long; run the round in "
			"firstBroken alone to see it");
}

} // namespace reframer::lab
