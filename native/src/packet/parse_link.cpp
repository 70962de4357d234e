// From the link layer to the IP header.
#include "packet/parser.hpp"

#include "packet/bytes.hpp"

#include <algorithm>

namespace reframer::packet {

namespace {

// Tags in a row; more is not traffic but an attack on the parser.
constexpr int max_stack = 16;

constexpr uint32_t type_ipv4 = 0x0800, type_ipv6 = 0x86dd;
constexpr uint32_t type_vlan = 0x8100, type_service_vlan = 0x88a8, type_old_qinq = 0x9100;
constexpr uint32_t type_mpls = 0x8847, type_mpls_multicast = 0x8848, type_pppoe = 0x8864;

} // namespace

Parser::Parser(const uint8_t *bytes, uint32_t nb_captured, uint32_t wire, Depth how_deep)
	: data(bytes), captured(nb_captured), frame_end(std::max(nb_captured, wire)), end(frame_end),
	  depth(how_deep)
{
}

bool Parser::has(uint32_t at, uint32_t count)
{
	// 64 bits: offsets near 2^32 must not wrap.
	const uint64_t need = static_cast<uint64_t>(at) + count;
	if (need > end) {
		h.flags |= cut();
		return false;
	}
	if (need > captured) {
		h.flags |= header_truncated;
		return false;
	}
	return true;
}

Headers Parser::run(LinkType link)
{
	switch (link) {
	case LinkType::ethernet:
		ethernet(0);
		break;
	case LinkType::null_loopback:
	case LinkType::loop:
		loopback(0);
		break;
	case LinkType::ppp:
		ppp(0);
		break;
	case LinkType::fddi:
		// Frame control, two addresses; 0x50 marks frames that carry LLC, the others run the ring.
		if (has(0, 13) && (data[0] & 0xf0) == 0x50)
			llc(13);
		break;
	case LinkType::ppp_hdlc:
		// RFC 1547: an address of 0xff is PPP, 0x0f and 0x8f are Cisco's framing.
		if (has(0, 1) && (data[0] == 0x0f || data[0] == 0x8f))
			hdlc(0);
		else
			ppp(0);
		break;
	case LinkType::pppoe:
		pppoe(0);
		break;
	case LinkType::raw_ip:
		ip_any(0);
		break;
	case LinkType::ipv4:
		ip(0, 4);
		break;
	case LinkType::ipv6:
		ip(0, 6);
		break;
	case LinkType::chdlc:
		hdlc(0);
		break;
	case LinkType::linux_sll:
		if (has(0, 16))
			ether_type(be16(data + 14), 16);
		break;
	case LinkType::linux_sll2:
		if (has(0, 20))
			ether_type(be16(data), 20);
		break;
	}
	return h;
}

void Parser::ethernet(uint32_t at)
{
	if (!has(at, 14))
		return;
	h.l2 = at;
	h.has_ethernet = true;
	ether_type(be16(data + at + 12), at + 14);
}

void Parser::ether_type(uint32_t type, uint32_t at)
{
	for (int tag = 0; type == type_vlan || type == type_service_vlan || type == type_old_qinq;
	     tag++) {
		if (tag == max_stack) {
			h.flags |= header_malformed;
			return;
		}
		if (!has(at, 4))
			return;
		if (h.nb_vlan < 2)
			h.vlan[h.nb_vlan] = be16(data + at);
		h.nb_vlan++;
		type = be16(data + at + 2);
		at += 4;
	}
	h.ether_type = static_cast<uint16_t>(type);
	switch (type) {
	case type_ipv4:
		ip(at, 4);
		return;
	case type_ipv6:
		ip(at, 6);
		return;
	case type_mpls:
	case type_mpls_multicast:
		mpls(at);
		return;
	case type_pppoe:
		pppoe(at);
		return;
	case 0x0001:
		return; // SLL: Novell raw 802.3
	}
	// 0x0600 is the least EtherType; what is below is the length of an 802.3 frame (in SLL, 4).
	if (type < 0x0600)
		llc(at);
}

void Parser::llc(uint32_t at)
{
	if (!has(at, 3))
		return;
	const uint8_t *p = data + at;
	if (p[0] == 0x06 && p[1] == 0x06 && p[2] == 0x03) {
		ip(at + 3, 4);
		return;
	}
	if (p[0] != 0xaa || p[1] != 0xaa || p[2] != 0x03 || !has(at, 8))
		return;
	const uint32_t organisation = be32(p + 2) & 0xffffff;
	// RFC 1042 and IEEE 802.1H; an EtherType in SNAP is never a length again.
	if ((organisation == 0 || organisation == 0x0000f8) && be16(p + 6) >= 0x0600)
		ether_type(be16(p + 6), at + 8);
}

void Parser::pppoe(uint32_t at)
{
	if (!has(at, 6))
		return;
	if (data[at] != 0x11 || data[at + 1] != 0) {
		h.flags |= header_malformed;
		return;
	}
	ppp(at + 6);
}

void Parser::ppp(uint32_t at)
{
	if (!has(at, 1))
		return;
	if (data[at] == 0xff) {
		if (!has(at, 3))
			return;
		at += 2; // address and control, unless compressed away
	}
	uint32_t protocol = data[at];
	if (protocol & 1) { // protocol field compression, RFC 1661 section 6.5
		at += 1;
	} else {
		if (!has(at, 2))
			return;
		protocol = be16(data + at);
		at += 2;
	}
	switch (protocol) {
	case 0x0021:
		ip(at, 4);
		return;
	case 0x0057:
		ip(at, 6);
		return;
	case 0x0281:
	case 0x0283:
		mpls(at);
		return;
	}
}

void Parser::loopback(uint32_t at)
{
	if (!has(at, 4))
		return;
	// The address family in the byte order of the machine that captured: try both.
	uint32_t family = be32(data + at);
	if (family > 0xffff)
		family = swap32(family);
	switch (family) {
	case 2:
		ip(at + 4, 4);
		return;
	case 10: // Linux
	case 24: // NetBSD, OpenBSD
	case 28: // FreeBSD
	case 30: // Darwin
		ip(at + 4, 6);
		return;
	}
}

void Parser::hdlc(uint32_t at)
{
	if (has(at, 4))
		ether_type(be16(data + at + 2), at + 4);
}

Headers parse(const uint8_t *data, uint32_t captured, uint32_t wire, LinkType link, Depth depth)
{
	return Parser(data, captured, wire, depth).run(link);
}

} // namespace reframer::packet
