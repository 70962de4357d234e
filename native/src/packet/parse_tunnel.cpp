// Into tunnels. A tunnel whose inner packet cannot be read leaves the outer one as the answer.
#include "packet/parser.hpp"

#include "packet/bytes.hpp"
#include "packet/classify.hpp"

namespace reframer::packet {

template <typename Inner> void Parser::enter(Tunnel tunnel, Inner &&inner)
{
	const Headers outer = h;
	const uint32_t outer_end = end;
	if (outer.tunnel_depth >= max_tunnel_depth)
		return;
	h = Headers{};
	// The first fragment has the inner headers, and names the flow of all the others.
	if (outer.fragment_version != 0) {
		h.flags |= header_in_fragment;
		h.fragment_version = outer.fragment_version;
		h.fragment_protocol = outer.fragment_protocol;
		h.fragment_l3 = outer.fragment_l3;
		h.fragment_id = outer.fragment_id;
		h.fragment_offset = outer.fragment_offset;
		h.more_fragments = outer.more_fragments;
	}
	h.tunnel_depth = static_cast<uint8_t>(outer.tunnel_depth + 1);
	h.tunnel = tunnel;
	inner();
	// A fragment inside a fragment would have to be followed by two ids: the outer packet is the
	// flow then.
	const bool twice = outer.fragment_version != 0 && (h.flags & header_fragment);
	if (h.version == 0 || twice) {
		h = outer;
		h.flags |= header_inner_unread;
		end = outer_end;
	}
}

void Parser::enter_ip(Tunnel tunnel, uint32_t at)
{
	enter(tunnel, [&] { ip_any(at); });
}

void Parser::enter_ether_type(Tunnel tunnel, uint32_t type, uint32_t at)
{
	constexpr uint32_t type_bridged = 0x6558; // transparent Ethernet bridging
	enter(tunnel, [&] {
		if (type == type_bridged)
			ethernet(at);
		else if (type >= 0x0600)
			ether_type(type, at);
	});
}

void Parser::udp_tunnel(uint32_t at)
{
	if (!(h.flags & header_ports) || !(h.flags & header_payload))
		return;
	switch (h.destination_port) {
	case port_vxlan:
	case port_vxlan_linux:
		vxlan(at + 8);
		return;
	case port_geneve:
		geneve(at + 8);
		return;
	case port_gtpu:
		gtpu(at + 8);
		return;
	}
}

void Parser::vxlan(uint32_t at)
{
	if (!has(at, 8) || !(data[at] & 0x08)) // RFC 7348: the I flag must be set
		return;
	enter(Tunnel::vxlan, [&] { ethernet(at + 8); });
}

void Parser::geneve(uint32_t at)
{
	if (!has(at, 8) || data[at] >> 6 != 0)
		return;
	const uint32_t header = 8 + (data[at] & 0x3f) * 4u;
	if (has(at, header))
		enter_ether_type(Tunnel::geneve, be16(data + at + 2), at + header);
}

// 3GPP TS 29.281 section 5
void Parser::gtpu(uint32_t at)
{
	constexpr uint8_t user_packet = 255;
	constexpr int max_gtp_extensions = 16;
	if (!has(at, 8) || data[at] >> 4 != 3 || data[at + 1] != user_packet)
		return;
	const bool optional = data[at] & 0x07;
	const bool extended = data[at] & 0x04;
	at += 8;
	if (optional) {
		if (!has(at, 4))
			return;
		uint8_t next = extended ? data[at + 3] : 0;
		at += 4;
		for (int count = 0; next != 0; count++) {
			if (count == max_gtp_extensions || !has(at, 1))
				return;
			const uint32_t length = data[at] * 4u;
			if (length == 0 || !has(at, length))
				return;
			next = data[at + length - 1];
			at += length;
		}
	}
	enter_ip(Tunnel::gtpu, at);
}

// RFC 2784, RFC 2890; NVGRE (RFC 7637) is GRE with a key around Ethernet.
void Parser::gre(uint32_t at)
{
	constexpr uint32_t with_checksum = 0x8000, with_routing = 0x4000, with_key = 0x2000,
					   with_sequence = 0x1000;
	if (!has(at, 4))
		return;
	const uint32_t flags = be16(data + at);
	const uint32_t type = be16(data + at + 2);
	if ((flags & 7) == 1 && type == 0x880b) {
		gre_pptp(at, flags);
		return;
	}
	if ((flags & 7) != 0 || (flags & with_routing))
		return;
	at += 4 + (flags & with_checksum ? 4 : 0) + (flags & with_key ? 4 : 0) +
	      (flags & with_sequence ? 4 : 0);
	switch (type) {
	case 0x88be: // ERSPAN: type I has no header of its own, type II has one and a sequence number
		enter(Tunnel::gre, [&] { ethernet(at + (flags & with_sequence ? 8 : 0)); });
		return;
	case 0x22eb:
		erspan3(at);
		return;
	default:
		enter_ether_type(Tunnel::gre, type, at);
	}
}

// ERSPAN type III (draft-foschiano-erspan): 12 bytes, 8 more when the last bit says so.
void Parser::erspan3(uint32_t at)
{
	if (!has(at, 12) || data[at] >> 4 != 2)
		return;
	const uint32_t last = be16(data + at + 10);
	const uint32_t frame_type = last >> 10 & 0x1f;
	at += last & 1 ? 20 : 12;
	if (frame_type == 0)
		enter(Tunnel::gre, [&] { ethernet(at); });
	else if (frame_type == 2)
		enter_ip(Tunnel::gre, at);
}

// RFC 2637: key holds payload length and call, the acknowledgment number is optional too
void Parser::gre_pptp(uint32_t at, uint32_t flags)
{
	constexpr uint32_t with_sequence = 0x1000, with_acknowledgment = 0x0080;
	if (!(flags & with_sequence))
		return; // an acknowledgment only
	at += 8 + 4 + (flags & with_acknowledgment ? 4 : 0);
	enter(Tunnel::gre, [&] { ppp(at); });
}

} // namespace reframer::packet
