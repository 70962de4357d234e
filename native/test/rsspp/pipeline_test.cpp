#include "lab/rsspp/pipeline.hpp"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace reframer::lab;

TEST_CASE(
	"RSS++, Reframer, tracker and chain on three threads: nothing lost, in order, state moves along")
{
	for (const uint64_t delay_ns : {0ull, 20'000ull, 500'000ull}) {
		PipelineSpec spec;
		spec.packets = 120'000;
		spec.seed = 7 + delay_ns;
		spec.delay_ns = delay_ns;
		spec.moves_every = 1000;
		const PipelineResult r = run_pipeline(spec);
		CAPTURE(delay_ns);
		CHECK(r.lost == 0);
		CHECK(r.reordered == 0);
		CHECK(r.state_errors == 0);
		CHECK(r.passed + r.dropped == spec.packets);
		CHECK(r.moves > 100);
		CHECK(r.flows > 10'000);
	}
}
