// Where the headers of a frame are. Every length is checked; nothing past `captured` is read.
#pragma once

#include "packet/frame.hpp"

#include <cstdint>

namespace reframer::packet {

enum class Depth : uint8_t {
	outer,     // the first IP header; tunnels are payload
	innermost, // the last IP header that can be read: inside VXLAN, Geneve, GRE, GTP-U, IP in IP
};

// IP headers that are followed into tunnels; a real packet has at most three or four.
inline constexpr uint8_t max_tunnel_depth = 8;

enum class Tunnel : uint8_t { none, ip, gre, vxlan, geneve, gtpu };

// Bits of Headers::flags.
enum HeaderFlag : uint16_t {
	header_fragment = 1u << 0,        // first or later fragment; an atomic one is none (RFC 6946)
	header_ports = 1u << 1,           // source_port and destination_port were read
	header_tcp_flags = 1u << 2,       // tcp_flags were read
	header_payload = 1u << 3,         // payload and payload_length are known
	header_spi = 1u << 4,             // spi was read
	header_truncated = 1u << 5,       // a header goes past the captured bytes
	header_malformed = 1u << 6,       // a header contradicts itself or the one around it
	header_length_unstated = 1u << 7, // IP length 0 (offload, BIG TCP): to the frame's end
	header_inner_unread = 1u << 8,    // a tunnel whose inner packet could not be read
	header_in_fragment = 1u << 9, // in the first fragment of a tunnel's packet: may be cut there
};

struct Headers {
	uint32_t l2;             // offset of the Ethernet header, when has_ethernet
	uint32_t l3;             // offset of the IP header, when version != 0
	uint32_t l4;             // offset of what follows IP and its extension headers
	uint32_t payload;        // offset of the L4 payload; may lie past the captured bytes
	uint32_t payload_length; // on the wire, padding of the link excluded
	uint32_t spi;            // ESP or AH
	uint32_t mpls;           // offset of the label stack, when nb_mpls != 0
	uint16_t ether_type;     // after all tags; 0 where the link has none
	uint16_t vlan[2];        // outermost first, TCI
	uint16_t source_port;    // host order
	uint16_t destination_port;
	uint16_t tcp_flags; // twelve bits: reserved, AE, CWR ... FIN
	uint16_t flags;     // bits of HeaderFlag
	uint8_t nb_vlan;    // may exceed 2; the first two are kept
	uint8_t nb_mpls;
	uint8_t version;  // 4, 6; 0: no IP header could be read
	uint8_t protocol; // of l4; where the chain is cut, the first header not read
	uint8_t dscp, ecn, ttl;
	uint8_t spi_protocol; // 50 or 51, when header_spi
	uint8_t tunnel_depth; // IP headers around this one
	Tunnel tunnel;        // what this packet came in
	bool has_ethernet;
	bool labels_whole; // the label stack was read to its bottom
	// Of this packet where it is a fragment, else of the one that brings it (header_in_fragment).
	bool more_fragments;
	uint8_t fragment_version;  // 0: neither
	uint8_t fragment_protocol; // IPv4: what the fragments carry
	uint16_t fragment_offset;  // bytes
	uint32_t fragment_l3;
	uint32_t fragment_id;
};

// `wire` matters only where IP states no length; it may be smaller than `captured`.
Headers parse(const uint8_t *data, uint32_t captured, uint32_t wire, LinkType link, Depth depth);

inline Headers parse(const Frame &frame, Depth depth = Depth::outer)
{
	return parse(frame.data, frame.captured, frame.wire, frame.link, depth);
}

} // namespace reframer::packet
