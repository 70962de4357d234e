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
// addresses a core, for more than 4 M flows. An endpoint that was given back is used again last:
// late packets of its old flow should not meet a new one.
class PortPool {
public:
	// `capacity` endpoints at most. `reuses`: some are given back.
	PortPool(uint32_t core, uint32_t capacity, bool reuses = false)
		: first_address_(0xc6120000u + core * 64), owners_(capacity),
		  back_(reuses ? base::Region<uint32_t>(capacity) : base::Region<uint32_t>())
	{
	}

	bool empty() const { return taken_ == owners_.size() && nb_back_ == 0; }
	// Not from an empty pool.
	NatState take(const Ipv4Tuple &key)
	{
		uint32_t index = taken_;
		if (index < owners_.size()) {
			taken_++;
		} else {
			index = back_[oldest_];
			oldest_ = oldest_ + 1 == back_.size() ? 0 : oldest_ + 1;
			nb_back_--;
		}
		NatState s{};
		s.address = __builtin_bswap32(first_address_ + index / nb_ports);
		s.port = __builtin_bswap16(static_cast<uint16_t>(first_port + index % nb_ports));
		owners_[index] = key;
		s.ip_change = fold(change32(key.source, s.address));
		s.l4_change = fold(s.ip_change + change16(key.source_port, s.port));
		return s;
	}
	void give_back(const NatState &s)
	{
		const auto index = static_cast<uint32_t>(index_of(s.address, s.port));
		owners_[index] = {};
		uint64_t end = uint64_t{oldest_} + nb_back_++;
		back_[end < back_.size() ? end : end - back_.size()] = index;
	}
	// The flow that has this endpoint (network order), null if none has.
	const Ipv4Tuple *owner(uint32_t address, uint16_t port) const
	{
		const uint64_t index = index_of(address, port);
		const bool given =
			__builtin_bswap16(port) >= first_port && index < taken_ && owners_[index].used;
		return given ? &owners_[index] : nullptr;
	}

private:
	uint64_t index_of(uint32_t address, uint16_t port) const
	{
		const uint64_t block = __builtin_bswap32(address) - first_address_;
		return block * nb_ports + __builtin_bswap16(port) - first_port;
	}

	static constexpr uint32_t first_port = 1024, nb_ports = 65536 - first_port;
	uint32_t first_address_;
	uint32_t taken_ = 0; // that were used at least once
	base::Region<Ipv4Tuple> owners_;
	base::Region<uint32_t> back_; // a ring of those that were given back, from oldest_ on
	uint32_t oldest_ = 0, nb_back_ = 0;
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
