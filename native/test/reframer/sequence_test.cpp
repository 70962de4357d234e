// The engine against its model, and against its promises, over random sequences of calls.
#include "sequence.hpp"

#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <random>
#include <string>

using namespace reframer::test;

TEST_CASE("random sequences: the engine does what the model does, with any kernel")
{
	constexpr const char *kernels[] = {"avx512", "avx2", "scalar"};
	constexpr uint32_t nb_sequences = 6000, nb_steps = 200;
	const uint64_t seed = seed_for("reframer sequences", 0x5f3759df);
	uint64_t packets = 0;
	for (uint32_t i = 0; i < nb_sequences; i++) {
		setenv("REFRAMER_KERNEL", kernels[(seed + i) % 3], 1);
		std::mt19937_64 random(seed + i);
		const Choose choose = [&random](uint32_t n) {
			return static_cast<uint32_t>((random() >> 32) * n >> 32);
		};
		uint32_t step = 0;
		try {
			packets += run_sequence(choose, [&step] { return step++ < nb_steps; });
		} catch (const Violation &violation) {
			FAIL("REFRAMER_SEED=" << seed + i << ": " << std::string(violation.what()));
		}
	}
	unsetenv("REFRAMER_KERNEL");
	MESSAGE(packets << " packets");
	CHECK(packets > 3'000'000);
}
