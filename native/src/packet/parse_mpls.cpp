// A label stack, and what is behind it. MPLS does not name its payload: a first nibble of 4 or 6 may be
// IP, or the address of an Ethernet pseudowire without control word (RFC 4928, RFC 8469). Taken for IP
// is what bears out as IP, packet by packet and so that all packets of a flow are judged alike.
#include "packet/parser.hpp"

#include "packet/bytes.hpp"
#include "packet/checksum.hpp"

#include <algorithm>
#include <iterator>

namespace reframer::packet {

namespace {

// More labels in a row are not traffic but an attack on the parser.
constexpr int max_labels = 16;

constexpr uint8_t hop_by_hop = 0, in_ipv4 = 4, in_tcp = 6, in_udp = 17, in_ipv6 = 41, routing = 43,
				  fragment_header = 44, esp = 50, icmp6 = 58, no_next = 59, options = 60;

bool is_next_header(uint8_t protocol)
{
	constexpr uint8_t known[] = {hop_by_hop, in_ipv4, in_tcp, in_udp, 33,    in_ipv6, routing, 44,
	                             46,         47,      esp,    51,     icmp6, no_next, options, 89,
	                             103,        112,     115,    132,    135,   136};
	return std::find(std::begin(known), std::end(known), protocol) != std::end(known);
}

// Global, local, of a link, of an IPv4 host, or with zeros in front: nothing else has been given out.
bool is_unicast(const uint8_t *address)
{
	constexpr uint32_t translated = 0x0064ff9b, discarded = 0x01000000, segments = 0x5f00;
	const uint32_t first = be32(address);
	return first >> 29 == 1 || first >> 25 == 0xfc >> 1 || first >> 22 == 0xfe80 >> 6 ||
	       first == translated || first == discarded || first >> 16 == segments ||
	       load<uint64_t>(address) == 0;
}

bool is_destination(const uint8_t *address)
{
	return address[0] == 0xff || is_unicast(address);
}

} // namespace

void Parser::mpls(uint32_t at)
{
	h.mpls = at;
	for (int label = 0; label < max_labels; label++) {
		if (!has(at, 4))
			return;
		const bool bottom = data[at + 2] & 1;
		h.nb_mpls++;
		at += 4;
		if (bottom) {
			h.labels_whole = true;
			if (is_ipv4(at))
				ipv4(at);
			else if (is_ipv6(at))
				ipv6(at);
			return;
		}
	}
	h.flags |= header_malformed;
}

// Does IP of that length end where the frame does? Behind it there is at most the check sequence, or
// what a short frame was padded with, before it had labels. A frame that was cut when it was captured
// cannot tell.
bool Parser::ends_with(uint32_t at, uint32_t length) const
{
	constexpr uint32_t least_frame = 64, least_payload = 46, check_sequence = 4;
	const uint64_t stated = static_cast<uint64_t>(at) + length;
	return stated >= captured || captured <= least_frame ||
	       captured - at <= least_payload + check_sequence || captured - stated <= check_sequence;
}

// 16 bytes are there. Addresses that look so, too, cost the packet no more than a coarser group.
bool Parser::looks_like_ethernet(uint32_t at) const
{
	const uint32_t next = data[at + 14] >> 4;
	switch (be16(data + at + 12)) {
	case 0x0800:
		return next == 4;
	case 0x86dd:
		return next == 6;
	case 0x0806:
		return be16(data + at + 14) == 1;
	case 0x8100:
	case 0x88a8:
	case 0x8847:
	case 0x8863:
	case 0x8864:
	case 0x88cc:
		return true;
	}
	return false;
}

bool Parser::is_ipv4(uint32_t at) const
{
	if (static_cast<uint64_t>(at) + 20 > captured || data[at] >> 4 != 4)
		return false;
	const uint32_t header = (data[at] & 0x0f) * 4u;
	const uint32_t length = be16(data + at + 2);
	return header >= 20 && length >= header && static_cast<uint64_t>(at) + header <= captured &&
	       ends_with(at, length) && !looks_like_ethernet(at) && checksum_ipv4(data + at) == 0;
}

// Is this the beginning of such a header, `length` bytes before the end of the packet? Bytes that were
// not captured may be anything.
bool Parser::may_follow(uint8_t protocol, uint32_t at, uint32_t length) const
{
	const uint8_t *p = data + at;
	const auto there = [&](uint32_t bytes) {
		return static_cast<uint64_t>(at) + bytes <= captured;
	};
	switch (protocol) {
	case in_tcp:
		return length >= 20 && (!there(13) || (p[12] >> 4 >= 5 && (p[12] >> 4) * 4u <= length));
	case in_udp:
		// Less than all of the packet where UDP has options (RFC 9868).
		return length >= 8 && (!there(6) || (be16(p + 4) >= 8 && be16(p + 4) <= length));
	case icmp6: // errors; from echo on what informs
		return length >= 4 &&
		       (!there(1) || (p[0] >= 1 && p[0] <= 4) || (p[0] >= 128 && p[0] < 202));
	case esp:
		return length >= 8;
	case in_ipv4:
	case in_ipv6:
		return length >= 20 && (!there(1) || p[0] >> 4 == (protocol == in_ipv4 ? 4 : 6));
	case fragment_header:
		return length >= 8 && (!there(2) || (is_next_header(p[0]) && p[1] == 0));
	case hop_by_hop:
	case routing:
	case options:
		return length >= 8 && (!there(2) || (is_next_header(p[0]) && (p[1] + 1u) * 8 <= length));
	case no_next:
		return true;
	default:
		return length >= 4;
	}
}

// There is no checksum: addresses and the next header must be such as IPv6 has.
bool Parser::is_ipv6(uint32_t at) const
{
	constexpr uint32_t header = 40;
	if (static_cast<uint64_t>(at) + header > captured || data[at] >> 4 != 6)
		return false;
	const uint8_t *ip = data + at;
	const uint32_t length = be16(ip + 4);
	return ends_with(at, header + length) && !looks_like_ethernet(at) && is_next_header(ip[6]) &&
	       is_unicast(ip + 8) && is_destination(ip + 24) && may_follow(ip[6], at + header, length);
}

} // namespace reframer::packet
