// What both NATs share: which public endpoint a flow gets, and how a packet is rewritten.
// Source NAT in one direction: the return path would be a second chain on the way back.
#pragma once

#include "base/region.hpp"
#include "nf/checksum.hpp"

namespace reframer::nf {

struct NatState {
	uint32_t address; // network order
	uint16_t port;
	uint16_t ip_change; // what the new address adds to the complement of the IP checksum
	uint16_t l4_change; // the same for TCP and UDP: address and port
	uint16_t zero;
};

// Ports 1024 to 65535 (the original's range) of as many addresses as the table's flows need, in
// the order in which flows come, from the network for benchmarks (198.18.0.0/15, RFC 2544): 64
// addresses a core, for more than 4 M flows.
class PortPool {
public:
	// `capacity` endpoints at most.
	PortPool(uint32_t core, uint32_t capacity)
		: first_address_(0xc6120000u + core * 64), owners_(capacity)
	{
	}

	NatState take(const Ipv4Tuple &key)
	{
		NatState s{};
		s.address = __builtin_bswap32(first_address_ + taken_ / nb_ports);
		s.port = __builtin_bswap16(static_cast<uint16_t>(first_port + taken_ % nb_ports));
		owners_[taken_++] = key;
		s.ip_change = fold(change32(key.source, s.address));
		s.l4_change = fold(s.ip_change + change16(key.source_port, s.port));
		return s;
	}
	// The flow that was given this endpoint (network order), null if none was.
	const Ipv4Tuple *owner(uint32_t address, uint16_t port) const
	{
		uint64_t block = __builtin_bswap32(address) - first_address_;
		uint64_t index = block * nb_ports + __builtin_bswap16(port) - first_port;
		return __builtin_bswap16(port) >= first_port && index < taken_ ? &owners_[index] : nullptr;
	}

private:
	static constexpr uint32_t first_port = 1024, nb_ports = 65536 - first_port;
	uint32_t first_address_;
	uint32_t taken_ = 0;
	base::Region<Ipv4Tuple> owners_;
};

// Another address (at `field` of the IP header) and port (at `port` of TCP or UDP), with what they
// change in the sums.
inline void rewrite_endpoint(Context &c, uint32_t field, uint32_t port_field, uint32_t address,
                             uint16_t port, uint16_t ip_change, uint16_t l4_change)
{
	uint8_t *ip = c.ip();
	uint8_t *l4 = c.mbuf->data() + c.l4;
	store32(ip + field, address);
	update_checksum(ip + 10, ip_change);
	store16(l4 + port_field, port);
	if (c.layer4 == layer4_tcp) {
		update_checksum(l4 + 16, l4_change);
	} else if (load16(l4 + 6) != 0) { // 0: the sender computed none
		update_checksum(l4 + 6, l4_change);
		if (load16(l4 + 6) == 0)
			store16(l4 + 6, 0xffff);
	}
}

inline void rewrite(Context &c, const NatState &s)
{
	rewrite_endpoint(c, 12, 0, s.address, s.port, s.ip_change, s.l4_change);
}

} // namespace reframer::nf
