// The seed of a randomised test: REFRAMER_SEED replays, else the test's own constant.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace reframer::test {

inline uint64_t seed_for(const char *what, uint64_t standard)
{
	const char *text = std::getenv("REFRAMER_SEED");
	const uint64_t seed = text ? std::strtoull(text, nullptr, 0) : standard;
	std::fprintf(stderr, "%s: REFRAMER_SEED=%llu\n", what, static_cast<unsigned long long>(seed));
	return seed;
}

} // namespace reframer::test
