// The walk through a frame's headers; private to parse_*.cpp.
#pragma once

#include "packet/parse.hpp"

#include <cstdint>

namespace reframer::packet {

class Parser {
public:
	Parser(const uint8_t *bytes, uint32_t nb_captured, uint32_t wire, Depth how_deep);
	Headers run(LinkType link);

private:
	// parse_link.cpp
	void ethernet(uint32_t at);
	void ether_type(uint32_t type, uint32_t at);
	void llc(uint32_t at);
	void pppoe(uint32_t at);
	void ppp(uint32_t at);
	void loopback(uint32_t at);
	void hdlc(uint32_t at);

	// parse_mpls.cpp
	void mpls(uint32_t at);
	bool is_ipv4(uint32_t at) const;
	bool is_ipv6(uint32_t at) const;
	bool may_follow(uint8_t protocol, uint32_t at, uint32_t length) const;
	bool looks_like_ethernet(uint32_t at) const;
	bool ends_with(uint32_t at, uint32_t length) const;

	// parse_ip.cpp
	void ip(uint32_t at, uint8_t version);
	void ip_any(uint32_t at);
	void fragment(uint32_t l3, uint32_t id, uint32_t offset, bool more);
	void ipv4(uint32_t at);
	void ipv6(uint32_t at);
	void extensions(uint8_t next, uint32_t at);
	void transport(uint8_t protocol, uint32_t at);
	void ports(uint32_t at, uint32_t header);
	void tcp(uint32_t at);
	void set_payload(uint32_t at);

	// parse_tunnel.cpp
	void udp_tunnel(uint32_t at);
	void vxlan(uint32_t at);
	void geneve(uint32_t at);
	void gtpu(uint32_t at);
	void gre(uint32_t at);
	void gre_pptp(uint32_t at, uint32_t flags);
	void erspan3(uint32_t at);
	template <typename Inner> void enter(Tunnel tunnel, Inner &&inner);
	void enter_ip(Tunnel tunnel, uint32_t at);
	void enter_ether_type(Tunnel tunnel, uint32_t type, uint32_t at);

	// What it means that a length goes past `end`: a contradiction, or just another fragment.
	uint16_t cut() const
	{
		return h.flags & header_in_fragment ? header_truncated : header_malformed;
	}

	// Are `count` bytes at `at` there, both captured and inside the packet? Flags what is wrong.
	bool has(uint32_t at, uint32_t count);

	const uint8_t *data;
	uint32_t captured;
	uint32_t frame_end; // on the wire
	uint32_t end;       // of the innermost packet so far, on the wire; from its stated length
	Depth depth;
	Headers h{};
};

} // namespace reframer::packet
