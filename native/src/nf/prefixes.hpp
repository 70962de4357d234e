// Routes and firewall rules, drawn with a seed.
#pragma once

#include "base/random.hpp"

#include <cstdint>
#include <vector>

namespace reframer::nf {

struct Prefix {
	uint32_t value, mask; // host order
	uint16_t result;      // next hop, or index of the rule
	bool deny;
	uint8_t length() const { return static_cast<uint8_t>(__builtin_popcount(mask)); }
	bool covers(uint32_t address) const { return (address & mask) == value; }
};

// 103 routes, as the original's router-100 has: 101 distinct prefixes of /8 to /24, longest first,
// so that the first match is the longest; then 0.0.0.0/1 and 128.0.0.0/1, which cover the rest.
std::vector<Prefix> make_routes(uint64_t seed);

// `n` destination prefixes in random order and a match-all. Lengths follow what block and allow
// lists hold: half hosts, a third /24, the rest /16 to /31. They are drawn without regard to the
// traffic, all together they cover well below 1 % of the addresses, so nearly every packet
// walks to the match-all: the longest scan that the list can cause, like an allow-by-default filter.
std::vector<Prefix> make_rules(uint32_t n, double deny_share, uint64_t seed);

using base::Random;

} // namespace reframer::nf
