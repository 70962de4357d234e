// Any bytes as a sequence of calls on a stage of its own, checked against its model after each of them.
#include "sequence.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
	using namespace reframer::test;
	size_t at = 0;
	const auto byte = [&]() -> uint32_t { return at < input_size ? input[at++] : 0; };
	const Choose choose = [&](uint32_t n) {
		const uint32_t low = byte();
		return (n > 256 ? low | byte() << 8 : low) % n;
	};
	if (input_size > 2000)
		return 0;
	try {
		// Past its end an input chooses only the first of everything: nothing new comes of that.
		run_sequence(choose, [&] { return at < input_size; });
	} catch (const Violation &violation) {
		std::fprintf(stderr, "reframer fuzz: %s\n", violation.what());
		std::abort();
	}
	return 0;
}
