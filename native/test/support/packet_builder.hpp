// Packets made by hand: each function puts one header around what it is given, so that a frame
// reads from the outside in:
//   ethernet(type_ipv4, ipv4({.source = "10.0.0.1"}, tcp({.flags = 0x10})))
// Lengths and checksums are right unless a field says otherwise.
#pragma once

#include "packet/bytes.hpp"
#include "packet/checksum.hpp"

#include <arpa/inet.h>

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace reframer::test {

using Bytes = std::vector<uint8_t>;

inline constexpr uint16_t type_ipv4 = 0x0800, type_ipv6 = 0x86dd, type_arp = 0x0806;
inline constexpr uint16_t type_vlan = 0x8100, type_service_vlan = 0x88a8;
inline constexpr uint16_t type_mpls = 0x8847, type_pppoe = 0x8864, type_bridged = 0x6558;

inline Bytes join(std::initializer_list<Bytes> parts)
{
	Bytes all;
	for (const Bytes &part : parts)
		all.insert(all.end(), part.begin(), part.end());
	return all;
}

inline Bytes be16_bytes(uint32_t value)
{
	return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

inline Bytes be32_bytes(uint32_t value)
{
	return join({be16_bytes(value >> 16), be16_bytes(value & 0xffff)});
}

inline Bytes address_bytes(const std::string &text)
{
	const bool v6 = text.find(':') != std::string::npos;
	Bytes bytes(v6 ? 16 : 4);
	if (inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data()) != 1)
		std::abort(); // the test itself is wrong
	return bytes;
}

struct Mac {
	Bytes destination = {2, 0, 0, 0, 0, 2};
	Bytes source = {2, 0, 0, 0, 0, 1};
};

inline Bytes ethernet(uint16_t type, const Bytes &payload, const Mac &mac = {})
{
	return join({mac.destination, mac.source, be16_bytes(type), payload});
}

// The tag after its own EtherType: ethernet(type_vlan, vlan(7, type_ipv4, ...)).
inline Bytes vlan(uint16_t id, uint16_t type, const Bytes &payload)
{
	return join({be16_bytes(id), be16_bytes(type), payload});
}

inline Bytes mpls(uint32_t label, bool bottom, const Bytes &payload)
{
	return join({be32_bytes(label << 12 | (bottom ? 0x100u : 0) | 64), payload});
}

inline Bytes ppp(uint16_t protocol, const Bytes &payload)
{
	return join({be16_bytes(protocol), payload});
}

inline Bytes pppoe(const Bytes &payload)
{
	return join(
		{{0x11, 0}, be16_bytes(9), be16_bytes(static_cast<uint32_t>(payload.size())), payload});
}

inline Bytes llc_snap(uint16_t type, const Bytes &payload)
{
	return join({{0xaa, 0xaa, 3, 0, 0, 0}, be16_bytes(type), payload});
}

// What an L4 function gives to IP: the protocol goes with the bytes.
struct Segment {
	uint8_t protocol;
	Bytes bytes;
};

inline Segment segment(uint8_t protocol, Bytes bytes)
{
	return {protocol, std::move(bytes)};
}

struct Tcp {
	uint16_t source = 1000, destination = 80;
	uint32_t sequence = 1, acknowledgment = 1;
	uint16_t flags = 0x10;
	Bytes options = {};
	Bytes payload = {};
	std::optional<uint8_t> header_words = {};
};

inline Segment tcp(const Tcp &t = {})
{
	const size_t words = t.header_words ? *t.header_words : 5 + t.options.size() / 4;
	return {6, join({be16_bytes(t.source), be16_bytes(t.destination), be32_bytes(t.sequence),
	                 be32_bytes(t.acknowledgment),
	                 be16_bytes(static_cast<uint32_t>(words << 12) | t.flags), be16_bytes(65535),
	                 be16_bytes(0), be16_bytes(0), t.options, t.payload})};
}

struct Udp {
	uint16_t source = 1000, destination = 2000;
	Bytes payload = {};
};

inline Segment udp(const Udp &u = {})
{
	return {17, join({be16_bytes(u.source), be16_bytes(u.destination),
	                  be16_bytes(static_cast<uint32_t>(8 + u.payload.size())), be16_bytes(0),
	                  u.payload})};
}

struct Ip {
	std::string source = "10.0.0.1", destination = "10.0.0.2";
	uint8_t tos = 0;
	uint8_t ttl = 64;
	uint32_t id = 0;
	uint16_t fragment_offset = 0; // bytes, a multiple of 8
	bool more_fragments = false;
	Bytes options = {};                  // IPv4 only, a multiple of four bytes
	std::optional<uint16_t> length = {}; // what the header states, if not the truth
};

inline void set_l4_checksum(Bytes &packet, size_t l4, uint8_t protocol)
{
	const uint32_t size = static_cast<uint32_t>(packet.size() - l4);
	const size_t field = protocol == 6 ? 16 : 6;
	if ((protocol != 6 && protocol != 17) || size < field + 2)
		return;
	const uint16_t sum = packet::checksum_l4(packet.data(), protocol, packet.data() + l4, size);
	packet::put_be16(packet.data() + l4 + field,
	                 protocol == 17 ? packet::checksum_udp_wire(sum) : sum);
}

inline Bytes ipv4(const Ip &ip, const Segment &content)
{
	const size_t header = 20 + ip.options.size();
	const uint32_t length =
		ip.length ? *ip.length : static_cast<uint32_t>(header + content.bytes.size());
	Bytes packet = join({{static_cast<uint8_t>(0x40 | header / 4), ip.tos},
	                     be16_bytes(length),
	                     be16_bytes(ip.id),
	                     be16_bytes(ip.fragment_offset / 8u | (ip.more_fragments ? 0x2000u : 0)),
	                     {ip.ttl, content.protocol, 0, 0},
	                     address_bytes(ip.source),
	                     address_bytes(ip.destination),
	                     ip.options,
	                     content.bytes});
	packet::put_be16(packet.data() + 10, packet::checksum_ipv4(packet.data()));
	if (ip.fragment_offset == 0 && !ip.more_fragments)
		set_l4_checksum(packet, header, content.protocol);
	return packet;
}

struct Ip6 {
	std::string source = "2001:db8::1", destination = "2001:db8::2";
	uint8_t traffic_class = 0;
	std::optional<uint16_t> length = {};
};

inline Bytes ipv6(const Ip6 &ip, const Segment &content)
{
	const uint32_t length = ip.length ? *ip.length : static_cast<uint32_t>(content.bytes.size());
	Bytes packet = join({be32_bytes(6u << 28 | static_cast<uint32_t>(ip.traffic_class) << 20),
	                     be16_bytes(length),
	                     {content.protocol, 64},
	                     address_bytes(ip.source),
	                     address_bytes(ip.destination),
	                     content.bytes});
	set_l4_checksum(packet, 40, content.protocol);
	return packet;
}

// An IPv6 extension header of 8 * (1 + more) bytes: hop-by-hop 0, routing 43, destination 60 ...
inline Segment extension(uint8_t protocol, const Segment &next, uint8_t more = 0)
{
	return {protocol, join({{next.protocol, more}, Bytes(6 + 8 * more, 1), next.bytes})};
}

inline Segment fragment6(uint32_t id, uint16_t offset, bool more, const Segment &next)
{
	return {44, join({{next.protocol, 0},
	                  be16_bytes(offset | (more ? 1u : 0)),
	                  be32_bytes(id),
	                  next.bytes})};
}

inline Segment esp(uint32_t spi, const Bytes &payload = Bytes(24, 7))
{
	return {50, join({be32_bytes(spi), be32_bytes(1), payload})};
}

inline Segment ah(uint32_t spi, const Segment &next)
{
	return {51, join({{next.protocol, 4},
	                  be16_bytes(0),
	                  be32_bytes(spi),
	                  be32_bytes(1),
	                  Bytes(12, 3),
	                  next.bytes})};
}

inline Segment sctp(uint16_t source, uint16_t destination)
{
	return {132, join({be16_bytes(source), be16_bytes(destination), Bytes(8, 0)})};
}

inline Segment icmp(uint8_t type, const Bytes &rest)
{
	return {1, join({{type, 0, 0, 0}, rest})};
}

inline Segment ip_in_ip(const Bytes &packet)
{
	return {static_cast<uint8_t>(packet[0] >> 4 == 4 ? 4 : 41), packet};
}

struct Gre {
	uint16_t flags = 0; // C 0x8000, K 0x2000, S 0x1000; their fields follow from them
	uint16_t type = type_ipv4;
};

inline Segment gre(const Gre &g, const Bytes &payload)
{
	Bytes optional;
	for (const uint16_t bit : {0x8000, 0x2000, 0x1000})
		if (g.flags & bit)
			optional = join({optional, be32_bytes(0x01020304)});
	return {47, join({be16_bytes(g.flags), be16_bytes(g.type), optional, payload})};
}

inline Segment vxlan(uint32_t network, const Bytes &frame, uint16_t source = 50000)
{
	return udp({.source = source,
	            .destination = 4789,
	            .payload = join({{8, 0, 0, 0}, be32_bytes(network << 8), frame})});
}

inline Segment geneve(uint16_t type, const Bytes &payload, uint8_t option_words = 0)
{
	return udp({.source = 50001,
	            .destination = 6081,
	            .payload = join({{option_words, 0},
	                             be16_bytes(type),
	                             be32_bytes(99 << 8),
	                             Bytes(option_words * 4u, 9),
	                             payload})});
}

// `extensions` whole extension headers of four bytes each stand before the inner packet.
inline Segment gtpu(uint32_t teid, const Bytes &payload, uint8_t extensions = 0,
                    uint8_t message = 255)
{
	Bytes optional;
	if (extensions != 0) {
		optional = {0, 1, 0, 0x85};
		for (uint8_t i = 0; i < extensions; i++)
			optional =
				join({optional, {1, 0, 9, static_cast<uint8_t>(i + 1 < extensions ? 0x85 : 0)}});
	}
	const uint8_t flags = static_cast<uint8_t>(0x30 | (extensions != 0 ? 4 : 0));
	return udp(
		{.source = 2152,
	     .destination = 2152,
	     .payload = join({{flags, message},
	                      be16_bytes(static_cast<uint32_t>(optional.size() + payload.size())),
	                      be32_bytes(teid),
	                      optional,
	                      payload})});
}

} // namespace reframer::test
