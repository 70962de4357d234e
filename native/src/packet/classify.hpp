// What the reframing stage needs to know of a frame: the hash of its grouping key, and traits.
// The first thing that happens to a packet; inline because it is most of the stage's cost.
#pragma once

#include "packet/bytes.hpp"
#include "packet/frame.hpp"
#include "packet/hash.hpp"

#include <algorithm>
#include <cstdint>

namespace reframer::packet {

enum class KeyKind : uint8_t {
	five_tuple,  // addresses, ports, protocol of the outer packet; one direction
	symmetric,   // the same for both directions
	destination, // destination address of the outer packet
	inner,       // five_tuple of the innermost packet that can be read
};

// What a key is made of; part of the key, so that a fragment id never equals a pair of ports.
enum class KeyShape : uint8_t {
	none,     // nothing could be read
	link,     // not IP: addresses of the link and its protocol
	flow,     // addresses, protocol, and ports where there are any
	fragment, // addresses, protocol, fragment id: only the first fragment has ports
	spi,      // ESP and AH
	address,  // destination only
};

// Bits of Digest::traits. They describe the packet that gave the key: the inner one for
// KeyKind::inner. FIN to PSH keep the order of the TCP header, so that one shift moves them.
enum Trait : uint32_t {
	trait_unparsed = 1u << 0,  // no flow could be read: goes into the one group of such frames
	trait_ipv4 = 1u << 1,
	trait_ipv6 = 1u << 2,
	trait_tcp = 1u << 3,
	trait_udp = 1u << 4,
	trait_fragment = 1u << 5,  // any IP fragment: keyed by (source, destination, id)
	trait_fin = 1u << 6,
	trait_syn = 1u << 7,
	trait_rst = 1u << 8,
	trait_psh = 1u << 9,
	trait_pure_ack = 1u << 10, // TCP, flags exactly ACK, no payload
	trait_dns = 1u << 11,      // UDP or TCP port 53
	trait_dscp_ef = 1u << 12,
	trait_ect1 = 1u << 13,
};

struct Digest {
	uint32_t hash;
	uint32_t traits;
};

// Hash of everything that is not a flow. A flow may have it too, as it may share any hash.
inline constexpr uint32_t unparsed_hash = 0x5eed0ff5;

inline constexpr uint16_t port_dns = 53;
inline constexpr uint16_t port_gtpu = 2152;
inline constexpr uint16_t port_vxlan = 4789;
inline constexpr uint16_t port_geneve = 6081;

// Any frame; agrees with classify() on the frames that both know.
Digest classify_slow(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                     uint64_t seed);

// Reads at most `captured` bytes. The common frame is decided here: Ethernet with up to two VLAN
// tags, IPv4 without options or fragments, TCP or UDP with a whole header.
inline Digest classify(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                       uint64_t seed)
{
	constexpr uint16_t type_ipv4 = swap16(0x0800);
	constexpr uint16_t type_vlan = swap16(0x8100);
	constexpr uint16_t type_service_vlan = swap16(0x88a8);
	constexpr uint32_t ethernet = 14, ipv4 = 20, tcp = 20, udp = 8;
	const auto is_vlan = [](uint16_t type) { return type == type_vlan || type == type_service_vlan; };

	if (link != LinkType::ethernet || captured < ethernet + ipv4 + tcp) [[unlikely]]
		return classify_slow(data, captured, link, kind, seed);
	uint32_t l3 = ethernet;
	uint16_t type = load<uint16_t>(data + 12);
	// Both tags lie inside the length that is known to be there.
	for (int tag = 0; tag < 2 && is_vlan(type); tag++) {
		type = load<uint16_t>(data + l3 + 2);
		l3 += 4;
	}
	if (type != type_ipv4 || captured < l3 + ipv4 + tcp) [[unlikely]]
		return classify_slow(data, captured, link, kind, seed);

	const uint8_t *ip = data + l3;
	const uint8_t *l4 = ip + ipv4;
	const uint8_t protocol = ip[9];
	const uint32_t is_tcp = protocol == 6;
	const uint32_t is_udp = protocol == 17;
	const uint32_t length = be16(ip + 2);
	const uint32_t least = is_tcp ? ipv4 + tcp : ipv4 + udp;
	// 0x3fff: more-fragments flag and fragment offset
	const bool plain = ip[0] == 0x45 && (load<uint16_t>(ip + 6) & swap16(0x3fff)) == 0 &&
	                   (is_tcp | is_udp) && length >= least;
	if (!plain) [[unlikely]]
		return classify_slow(data, captured, link, kind, seed);

	const uint16_t source_port = load<uint16_t>(l4);
	const uint16_t destination_port = load<uint16_t>(l4 + 2);
	if (kind == KeyKind::inner && is_udp &&
	    (destination_port == swap16(port_vxlan) || destination_port == swap16(port_geneve) ||
	     destination_port == swap16(port_gtpu)))
		return classify_slow(data, captured, link, kind, seed);

	const uint32_t flags = is_tcp ? load<uint16_t>(l4 + 12) : 0;
	const uint32_t tcp_header = (flags & 0xf0) >> 2;
	uint32_t traits = trait_ipv4 | is_tcp * trait_tcp | is_udp * trait_udp;
	traits |= (flags >> 8 & 0x0f) * trait_fin;
	// 0x1ff on the wire: the eight flags and the ninth, AE, in the byte before
	traits |= ((flags & 0xff01) == 0x1000 && length == ipv4 + tcp_header) * trait_pure_ack;
	traits |= (source_port == swap16(port_dns) || destination_port == swap16(port_dns)) * trait_dns;
	traits |= (ip[1] >> 2 == 46) * trait_dscp_ef;
	traits |= ((ip[1] & 3) == 1) * trait_ect1;

	uint64_t a = hash_endpoint(load<uint32_t>(ip + 12), source_port);
	uint64_t b = hash_endpoint(load<uint32_t>(ip + 16), destination_port);
	uint64_t tail = hash_tail(protocol, static_cast<uint8_t>(KeyShape::flow));
	if (kind == KeyKind::symmetric) {
		const uint64_t low = std::min(a, b);
		b = std::max(a, b);
		a = low;
	} else if (kind == KeyKind::destination) {
		a = 0;
		b &= 0xffffffff;
		tail = hash_tail(0, static_cast<uint8_t>(KeyShape::address));
	}
	return {hash_words(a, b | tail, seed), traits};
}

} // namespace reframer::packet
