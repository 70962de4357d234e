// What a chain is made of and how large it is.
#pragma once

#include <cstdint>

namespace reframer::nf {

enum class ChainKind : uint8_t {
	forward, // touches nothing: the cost of the loop itself
	paper,   // what the original measured (NSDI'22, repository files router-100 and fw-rules)
	modern,  // the same functions on structures that one would choose today
};

// Whether a function works packet by packet or once a run of equal keys.
enum class Form : uint8_t { packet, run };

struct Config {
	ChainKind kind = ChainKind::paper;
	// Destination rules of the firewall; a match-all follows. 11745 is the original's file.
	uint32_t nb_rules = 11745;
	// Share of the rules that drop what they match. 0: the published runs count every packet.
	double deny_share = 0.0;
	// Flows that a table holds. The original's tables: 2 M split over 8 cores, a power of two.
	uint32_t table_capacity = 1u << 18;
	// Seed of routes, rules and hash keys.
	uint64_t seed = 1;
};

} // namespace reframer::nf
