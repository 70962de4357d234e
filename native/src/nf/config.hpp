// What a chain is made of and how large it is.
#pragma once

#include <cstdint>
#include <span>

namespace reframer::nf {

enum class ChainKind : uint8_t {
	forward, // touches nothing: the cost of the loop itself
	paper,   // the original's functions (NSDI'22), at about its cost: a + b / SLF cycles a packet
	cached_rules, // the same without work on each packet: a walk over rules behind a last-flow cache
	modern,       // the same functions on structures that one would choose today
	modern_rte,   // the same with DPDK's tables for routes and rules
	inspect,      // counter, firewall, pattern search, load balancer

	// One function alone, of the modern kind ...
	counter,
	router,
	firewall,
	nat,
	lb,        // load balancer with a connection table
	cookie_lb, // by a cookie in the TCP timestamp, and a connection table where there is none
	dpi,       // pattern search over flows
	rte_lpm,
	rte_fib,
	rte_acl,
	// ... and of the paper's.
	paper_counter,
	paper_router,
	paper_firewall,
	paper_nat,
};

struct ChainName {
	const char *name;
	ChainKind kind;
	// What it needs that this build lacks; null where it is there.
	const char *lacks;
};

std::span<const ChainName> chain_names();

// Whether a function works packet by packet or once a run of equal keys.
enum class Form : uint8_t { packet, run };

// Sizes at which the chain `paper` costs about what was published, 2,700 + 4,600 / SLF cycles a packet, on
// the machine of docs/notes/2026-11-29-paper-chain.md: a destination rule takes 0.61 cycles there, a
// packet rule 1.66. With the original's 11745 destination rules a run would cost 7,600.
inline constexpr uint32_t calibrated_rules = 6800, calibrated_packet_rules = 1400;

struct Config {
	ChainKind kind = ChainKind::paper;
	// Destination rules of the firewall; a match-all follows. 11745 is the original's file.
	uint32_t nb_rules = 11745;
	// Lines of the paper chain's packet filter.
	uint32_t nb_packet_rules = calibrated_packet_rules;
	// Share of the rules that drop what they match. 0: the published runs count every packet.
	double deny_share = 0.0;
	// Flows that a table holds. The original's tables: 2 M split over 8 cores, a power of two.
	uint32_t table_capacity = 1u << 18;
	// Servers behind the load balancers, 1..256.
	uint32_t nb_servers = 100;
	// Whether functions ask for the state of coming packets (or runs) before they need it. The
	// paper's functions never do.
	bool look_ahead = true;
	// Seed of routes, rules and hash keys.
	uint64_t seed = 1;
};

} // namespace reframer::nf
