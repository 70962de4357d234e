// What a chain is made of and how large it is.
#pragma once

#include <cstdint>
#include <span>

namespace reframer::nf {

enum class ChainKind : uint8_t {
	forward, // touches nothing: the cost of the loop itself
	paper,   // what the original measured (NSDI'22, repository files router-100 and fw-rules)
	modern,  // the same functions on structures that one would choose today
	modern_rte, // the same with DPDK's tables for routes and rules
	inspect, // counter, firewall, pattern search, load balancer

	// One function alone, of the modern kind ...
	counter,
	router,
	firewall,
	nat,
	lb,        // load balancer with a connection table
	cookie_lb, // stateless, by a cookie in the TCP timestamp
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

struct Config {
	ChainKind kind = ChainKind::paper;
	// Destination rules of the firewall; a match-all follows. 11745 is the original's file.
	uint32_t nb_rules = 11745;
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
