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

// Of the next link, locally administered, as they lie in the frame.
struct EthernetAddresses {
	uint64_t first;
	uint32_t rest;
};

inline EthernetAddresses ethernet_addresses(uint16_t next_hop)
{
	const uint64_t hop = __builtin_bswap16(next_hop);
	return {2ull << 48 | hop << 32 | 0x01000002, static_cast<uint32_t>(hop << 16)};
}

// The last step of a chain.
inline void write_ethernet(Mbuf *m, const EthernetAddresses &addresses, uint16_t next_hop)
{
	uint8_t *frame = m->data();
	std::memcpy(frame, &addresses.first, 8);
	store32(frame + 8, addresses.rest);
	m->next_hop = next_hop;
}

inline void rewrite_ethernet(Context &c)
{
	write_ethernet(c.mbuf, ethernet_addresses(c.next_hop), c.next_hop);
}

} // namespace reframer::nf
