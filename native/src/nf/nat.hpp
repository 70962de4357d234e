// What both NATs share: which public endpoint a flow gets, and how a packet is rewritten.
// Source NAT in one direction: the return path would be a second chain on the way back.
#pragma once

#include "nf/checksum.hpp"

namespace reframer::nf {

struct NatState {
	uint32_t address;     // network order
	uint16_t port;
	uint16_t ip_change;   // what the new address adds to the complement of the IP checksum
	uint16_t l4_change;   // the same for TCP and UDP: address and port
	uint16_t zero;
};

// Ports 1024 to 65535 (the original's range) of as many addresses as the table's flows need, in
// the order in which flows come, from the network for benchmarks (198.18.0.0/15, RFC 2544): 64
// addresses a core, for more than 4 M flows.
class PortPool {
public:
	explicit PortPool(uint32_t core) : first_address_(0xc6120000u + core * 64) {}

	NatState take(const FlowKey &key)
	{
		constexpr uint32_t nb_ports = 65536 - 1024;
		NatState s{};
		s.address = __builtin_bswap32(first_address_ + taken_ / nb_ports);
		s.port = __builtin_bswap16(static_cast<uint16_t>(1024 + taken_ % nb_ports));
		taken_++;
		s.ip_change = fold(change32(key.source, s.address));
		s.l4_change = fold(s.ip_change + change16(key.source_port, s.port));
		return s;
	}
	uint32_t taken() const { return taken_; }

private:
	uint32_t first_address_;
	uint32_t taken_ = 0;
};

inline void rewrite(Context &c, const NatState &s)
{
	uint8_t *ip = c.ip();
	uint8_t *l4 = c.mbuf->data() + c.l4;
	store32(ip + 12, s.address);
	update_checksum(ip + 10, s.ip_change);
	store16(l4, s.port);
	if (c.layer4 == layer4_tcp) {
		update_checksum(l4 + 16, s.l4_change);
	} else if (load16(l4 + 6) != 0) { // 0: the sender computed none
		update_checksum(l4 + 6, s.l4_change);
		if (load16(l4 + 6) == 0)
			store16(l4 + 6, 0xffff);
	}
}

} // namespace reframer::nf
