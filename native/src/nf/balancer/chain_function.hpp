// The balancer as a function of a chain, see function_set.hpp: any traffic exercises it, and what would
// go to all servers goes by hash, since a chain makes no copies.
#pragma once

#include "nf/balancer/engine.hpp"
#include "nf/chain.hpp"

#include <ctime>
#include <memory>

namespace reframer::nf {

class CookieBalancer {
public:
	// The service's own address, as clients see it, and the first server's (RFC 2544's network).
	static constexpr uint32_t service_address = 0xc613ff01u; // 198.19.255.1
	static constexpr uint32_t first_server = 0xc6130000u;    // 198.19.0.0
	// The same in IPv6, the last word of which is that of IPv4 (RFC 5180's network).
	static constexpr uint8_t network6[12] = {0x20, 0x01, 0x00, 0x02};
	static constexpr bool takes_ipv6 = true;

	CookieBalancer(uint32_t servers, uint32_t max_connections, uint64_t seed);

	// Once for many packets: the chain has no clock. Coarse time is a read of memory.
	void prepare(Context *const *, uint32_t, bool)
	{
		timespec now;
		clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
		now_ns_ =
			static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
	}
	struct Nothing {};
	Nothing lookup(const Context &) { return {}; }
	void apply(Context &c, Nothing)
	{
		balance::Packet p;
		uint8_t *const frame = c.mbuf->data();
		const uint8_t verdict = c.layer4 == layer4_not_ipv4
		                            ? engine_->read(frame, c.mbuf->captured, p)
		                            : balance::read_packet(frame, c.mbuf->captured, p, c);
		if (verdict != verdict_pass) {
			c.verdict = verdict;
			return;
		}
		if (engine_->process(p, nullptr, now_ns_).verdict == BALANCER_DROP)
			c.verdict = verdict_table_full;
	}
	void counters(Counters &out) const;
	balance::Engine &engine() { return *engine_; }

private:
	std::unique_ptr<balance::Engine> engine_; // its flow table knows where it is
	uint64_t now_ns_ = 0;
};

} // namespace reframer::nf
