// IP, its extension headers, and the headers that carry ports.
#include "packet/parser.hpp"

#include "packet/bytes.hpp"

namespace reframer::packet {

namespace {

constexpr int max_extensions = 16;

} // namespace

void Parser::ip(uint32_t at, uint8_t version)
{
	if (!has(at, 1))
		return;
	if (data[at] >> 4 != version) {
		h.flags |= header_malformed;
		return;
	}
	if (version == 4)
		ipv4(at);
	else
		ipv6(at);
}

void Parser::ip_any(uint32_t at)
{
	if (!has(at, 1))
		return;
	if (data[at] >> 4 == 4)
		ipv4(at);
	else if (data[at] >> 4 == 6)
		ipv6(at);
}

void Parser::fragment(uint32_t l3, uint32_t id, uint32_t offset, bool more)
{
	h.flags |= header_fragment;
	h.fragment_version = h.version;
	h.fragment_protocol = h.protocol;
	h.fragment_l3 = l3;
	h.fragment_id = id;
	h.fragment_offset = static_cast<uint16_t>(offset);
	h.more_fragments = more;
}

void Parser::ipv4(uint32_t at)
{
	if (!has(at, 20))
		return;
	const uint8_t *p = data + at;
	const uint32_t header = (p[0] & 0x0f) * 4u;
	const uint32_t length = be16(p + 2);
	if (header < 20) {
		h.flags |= header_malformed;
		return;
	}
	h.version = 4;
	h.l3 = at;
	h.dscp = p[1] >> 2;
	h.ecn = p[1] & 3;
	h.ttl = p[8];
	h.protocol = p[9];
	h.l4 = at + header;

	const uint32_t fragmented = be16(p + 6);
	const uint32_t offset = (fragmented & 0x1fff) * 8;
	const bool more = fragmented & 0x2000;
	if (offset != 0 || more)
		fragment(at, be16(p + 4), offset, more);

	if (length == 0) {
		h.flags |= header_length_unstated;
	} else if (length < header) {
		h.flags |= header_malformed;
		return;
	} else if (static_cast<uint64_t>(at) + length > end) {
		// States more than the frame or the packet around it holds: read what is there.
		h.flags |= cut();
	} else {
		end = at + length;
	}
	if (!has(at, header))
		return;
	if (offset == 0)
		transport(h.protocol, h.l4);
}

void Parser::ipv6(uint32_t at)
{
	if (!has(at, 40))
		return;
	const uint8_t *p = data + at;
	const uint32_t length = be16(p + 4);
	const uint8_t next = p[6];
	const uint32_t traffic_class = be16(p) >> 4 & 0xff;
	h.version = 6;
	h.l3 = at;
	h.dscp = static_cast<uint8_t>(traffic_class >> 2);
	h.ecn = traffic_class & 3;
	h.ttl = p[7];

	// Length 0 before hop-by-hop options is a jumbogram (RFC 2675), before TCP a packet captured
	// before it was segmented; before anything else there is just no payload.
	if (length == 0 && (next == 0 || next == 6))
		h.flags |= header_length_unstated;
	else if (static_cast<uint64_t>(at) + 40 + length > end)
		h.flags |= cut();
	else
		end = at + 40 + length;
	extensions(next, at + 40);
}

void Parser::extensions(uint8_t next, uint32_t at)
{
	for (int count = 0; count < max_extensions; count++) {
		uint32_t length;
		h.protocol = next;
		h.l4 = at;
		switch (next) {
		case 0:   // hop-by-hop options
		case 43:  // routing
		case 60:  // destination options
		case 135: // mobility
		case 139: // host identity
		case 140: // shim6
			if (!has(at, 2))
				return;
			length = (data[at + 1] + 1u) * 8;
			break;
		case 44: // fragment
			if (!has(at, 8))
				return;
			{
				const uint32_t offset = be16(data + at + 2);
				if ((offset & 0xfff9) != 0)
					fragment(h.l3, be32(data + at + 4), offset & 0xfff8, offset & 1);
				if ((offset & 0xfff8) != 0) {
					h.protocol = data[at];
					h.l4 = at + 8;
					return;
				}
			}
			length = 8;
			break;
		default:
			transport(next, at);
			return;
		}
		if (!has(at, length))
			return;
		next = data[at];
		at += length;
	}
	h.flags |= header_malformed;
}

void Parser::transport(uint8_t protocol, uint32_t at)
{
	h.protocol = protocol;
	h.l4 = at;
	switch (protocol) {
	case 6:
		tcp(at);
		return;
	case 17:
	case 136: // UDP-Lite
		ports(at, 8);
		if (protocol == 17 && depth == Depth::innermost)
			udp_tunnel(at);
		return;
	case 132:
		ports(at, 12);
		return; // SCTP
	case 33:    // DCCP
		if (has(at, 4))
			ports(at, 4);
		return;
	case 50: // ESP
		if (has(at, 4)) {
			h.spi = be32(data + at);
			h.spi_protocol = protocol;
			h.flags |= header_spi;
		}
		return;
	case 51: // AH: what it protects is in the clear behind it
		// One is all there is in practice; a second would let a frame choose this call's depth.
		if (h.flags & header_spi) {
			h.flags |= header_malformed;
			return;
		}
		if (!has(at, 8))
			return;
		h.spi = be32(data + at + 4);
		h.spi_protocol = protocol;
		h.flags |= header_spi;
		{
			const uint32_t length = (data[at + 1] + 2u) * 4;
			const uint8_t next = data[at];
			if (length < 12) {
				h.flags |= header_malformed;
				return;
			}
			if (!has(at, length))
				return;
			if (h.version == 6)
				extensions(next, at + length);
			else
				transport(next, at + length);
		}
		return;
	case 4:  // IPv4 in IP
	case 41: // IPv6 in IP
		set_payload(at);
		if (depth == Depth::innermost)
			enter_ip(Tunnel::ip, at);
		return;
	case 47:
		if (depth == Depth::innermost)
			gre(at);
		return;
	}
}

void Parser::ports(uint32_t at, uint32_t header)
{
	if (!has(at, 4))
		return;
	h.source_port = be16(data + at);
	h.destination_port = be16(data + at + 2);
	h.flags |= header_ports;
	if (header > 4)
		set_payload(at + header);
}

void Parser::tcp(uint32_t at)
{
	ports(at, 4);
	if (!has(at, 14))
		return;
	const uint32_t header = (data[at + 12] >> 4) * 4u;
	h.tcp_flags = be16(data + at + 12) & 0x0fff;
	h.flags |= header_tcp_flags;
	if (header < 20)
		h.flags |= header_malformed;
	else
		set_payload(at + header);
}

// The payload may start past the captured bytes; past the packet's end it is a lie.
void Parser::set_payload(uint32_t at)
{
	if (at > end) {
		h.flags |= cut();
		return;
	}
	h.payload = at;
	h.payload_length = end - at;
	h.flags |= header_payload;
}

} // namespace reframer::packet
