// What both routers do once the next hop is known.
#pragma once

#include "nf/checksum.hpp"

namespace reframer::nf {

// Decrements the TTL and notes the next hop.
inline void forward(Context &c, uint16_t next_hop)
{
	uint8_t *ip = c.ip();
	if (ip[8] <= 1) {
		c.verdict = verdict_ttl;
		return;
	}
	uint16_t before = load16(ip + 8);
	ip[8]--;
	update_checksum(ip + 10, fold(change16(before, load16(ip + 8))));
	c.next_hop = next_hop;
}

// The last step of a chain: the addresses of the next link, locally administered.
inline void rewrite_ethernet(Context &c)
{
	uint8_t *frame = c.mbuf->data();
	const uint8_t hop[2] = {static_cast<uint8_t>(c.next_hop >> 8), static_cast<uint8_t>(c.next_hop)};
	const uint8_t addresses[12] = {0x02, 0, 0, 1, hop[0], hop[1], 0x02, 0, 0, 0, hop[0], hop[1]};
	std::memcpy(frame, addresses, sizeof(addresses));
	c.mbuf->next_hop = c.next_hop;
}

} // namespace reframer::nf
