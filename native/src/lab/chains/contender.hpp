// Chains of the same functions in different styles, as the job `chains` measures them.
#pragma once

#include "nf/mbuf.hpp"
#include "reframer/conntrack.h"

#include <cstdint>
#include <memory>

namespace reframer::lab::chains {

// What all contenders of a run have alike.
struct Terms {
	uint32_t functions = 3; // of counter, balancer, limiter, NAT, firewall: the first so many
	uint64_t flows = 0;     // known ones; there is room for half as many new ones
	uint64_t timeout_ns = 0;
	uint64_t seed = 1;
	bool expires = true;
};
inline constexpr uint32_t most_functions = 5;
// An idle flow is noticed this much late at most.
inline constexpr uint64_t tick_ns = 10'000'000;

class Contender {
public:
	virtual ~Contender() = default;
	// A burst as a poll brings it, of up to 32 packets. It may leave with the next call.
	virtual void take(nf::Mbuf **packets, uint32_t n, uint64_t now_ns) = 0;
	// What has not left yet leaves.
	virtual void finish(uint64_t now_ns) = 0;

	// Of packets that left: those that passed, and those that a function dropped.
	uint64_t passed = 0, dropped = 0;
	// Packets that the flow counter has, in live blocks and in those that left.
	virtual uint64_t counted() = 0;
	// Sum over the state of all flows and functions; equal for all contenders that saw the same
	// packets in the same order.
	virtual uint64_t digest() = 0;
	virtual uint64_t bytes() = 0;
};

// By style; NULL where the build or machine lacks DPDK.
std::unique_ptr<Contender> make_flow_block(const Terms &);
std::unique_ptr<Contender> make_flow_block_at_once(const Terms &);
std::unique_ptr<Contender> make_table_each(const Terms &);
std::unique_ptr<Contender> make_services(const Terms &);
std::unique_ptr<Contender> make_cut(const Terms &);
std::unique_ptr<Contender> make_rebuilt(const Terms &);
std::unique_ptr<Contender> make_pooled(const Terms &);

} // namespace reframer::lab::chains
