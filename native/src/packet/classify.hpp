// What the reframing stage needs to know of a frame: the hash of its grouping key, and traits.
// The first thing that happens to a packet; inline because it is most of the stage's cost.
#pragma once

#include "packet/bytes.hpp"
#include "packet/frame.hpp"
#include "packet/hash.hpp"

#include <bit>
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
	fragment, // addresses, protocol, id: a fragment behind the first, which alone has ports
	spi,      // ESP and AH
	address,  // destination only
	labels,   // MPLS around what is not IP: a pseudowire
};

// Bits of Digest::traits. They describe the packet that gave the key: the inner one for
// KeyKind::inner. FIN to PSH keep the order of the TCP header, so that one shift moves them; the
// bits of TCP and UDP are bits of their protocol numbers, 6 and 17, for the same reason.
enum Trait : uint32_t {
	trait_unparsed = 1u << 0, // no flow could be read: goes into the one group of such frames
	trait_tcp = 1u << 1,
	trait_ipv6 = 1u << 2,
	trait_ipv4 = 1u << 3,
	trait_udp = 1u << 4,
	trait_fragment = 1u << 5, // any IP fragment, see fragment_flows.hpp; not for `destination`
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
inline constexpr uint16_t port_vxlan_linux = 8472; // Linux's own default: flannel, Cilium
inline constexpr uint16_t port_geneve = 6081;

// What a value of the TOS or traffic class field says: one load replaces six steps.
struct TosTraits {
	uint16_t of[256];
	constexpr TosTraits() : of{}
	{
		for (unsigned tos = 0; tos < 256; tos++) {
			if (tos >> 2 == 46)
				of[tos] |= trait_dscp_ef;
			if ((tos & 3) == 1)
				of[tos] |= trait_ect1;
		}
	}
};
inline constexpr TosTraits tos_traits;

// Traits of a TCP or UDP header at `l4`, of which 14 bytes may be read; `length` is that of the
// segment with its header. Numbers rather than bools: both sides of a condition are cheaper than a
// branch between them.
inline uint32_t l4_traits(const uint8_t *l4, uint8_t protocol, uint32_t length)
{
	constexpr uint8_t tcp_or_udp = trait_tcp | trait_udp;
	static_assert((6 & tcp_or_udp) == trait_tcp && (17 & tcp_or_udp) == trait_udp);
	const uint32_t ports = load<uint32_t>(l4);
	const uint32_t from_dns = (ports & 0xffff) == swap16(port_dns);
	const uint32_t to_dns = ports >> 16 == swap16(port_dns);
	// Four bits of header length in words, three reserved, nine flags from AE to FIN.
	const uint32_t flags = be16(l4 + 12) & -(protocol >> 1 & 1u);
	// The header is all of the segment and ACK the only flag, in one comparison.
	const uint32_t pure_ack = (flags & 0xf1ff) == (length << 10 | 0x10);
	return (protocol & tcp_or_udp) | (flags & 0x0f) * trait_fin | pure_ack * trait_pure_ack |
	       (from_dns | to_dns) * trait_dns;
}

constexpr bool is_tunnel_port(uint32_t ports)
{
	const uint32_t port = ports >> 16;
	return port == swap16(port_vxlan) || port == swap16(port_vxlan_linux) ||
	       port == swap16(port_geneve) || port == swap16(port_gtpu);
}

// Any frame. The three agree wherever they overlap: classify_parsed() is the whole parser,
// classify_slow() first tries the common IPv6 frame, classify() the common IPv4 frame.
Digest classify_parsed(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                       uint64_t seed);
Digest classify_slow(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                     uint64_t seed);

// classify() with traits, as a call.
Digest classify_tagged(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                       uint64_t seed);

// Where the IP header of an Ethernet frame with up to two VLAN tags begins, and its EtherType in
// memory order. At least 22 bytes must be there.
struct EthernetEnd {
	uint32_t offset;
	uint16_t type;
};
inline EthernetEnd skip_ethernet(const uint8_t *data)
{
	constexpr uint16_t type_vlan = swap16(0x8100), type_service_vlan = swap16(0x88a8);
	EthernetEnd end = {14, load<uint16_t>(data + 12)};
	for (int tag = 0; tag < 2 && (end.type == type_vlan || end.type == type_service_vlan); tag++) {
		end.type = load<uint16_t>(data + end.offset + 2);
		end.offset += 4;
	}
	return end;
}

// Hash of a flow whose `addresses` and `ports` are as they lie in the packet, for a key of `kind`.
inline uint32_t hash_ipv4(uint64_t addresses, uint32_t ports, uint32_t protocol, KeyKind kind,
                          uint64_t seed)
{
	uint64_t tail =
		hash_tail(ports, static_cast<uint8_t>(protocol), static_cast<uint8_t>(KeyShape::flow));
	if (kind == KeyKind::symmetric) {
		const auto source = static_cast<uint32_t>(addresses);
		const auto destination = static_cast<uint32_t>(addresses >> 32);
		const bool turn = hash_endpoint(source, static_cast<uint16_t>(ports)) >
		                  hash_endpoint(destination, static_cast<uint16_t>(ports >> 16));
		addresses = turn ? std::rotl(addresses, 32) : addresses;
		tail = turn ? (tail & ~uint64_t{0xffffffff}) | std::rotl(ports, 16) : tail;
	} else if (kind == KeyKind::destination) {
		addresses &= ~uint64_t{0xffffffff};
		tail = hash_tail(0, 0, static_cast<uint8_t>(KeyShape::address));
	}
	return hash_words(addresses, tail, seed);
}

// Ethernet without tags, IPv4 without options or fragments, TCP or UDP with 20 bytes or more: what
// nearly every packet is, in two loads. 28 bytes must be there.
inline bool is_plain_untagged(const uint8_t *data)
{
	// EtherType, version and length of the header, TOS, total length, id; first byte uppermost.
	const uint64_t first = __builtin_bswap64(load<uint64_t>(data + 12));
	// Flags and fragment offset, TTL, protocol.
	const uint32_t second = load<uint32_t>(data + 20) & 0xff00ff3f;
	const uint32_t l4 = (second == 6u << 24) | (second == 17u << 24);
	return (first >> 40 == 0x080045) & ((first >> 16 & 0xffff) >= 40) & l4;
}

// Reads at most `captured` bytes. The common frame is decided here: Ethernet with up to two VLAN
// tags, IPv4 without options or fragments, TCP or UDP with a whole header. Who wants no traits but
// trait_unparsed is spared a fifth of the work.
template <bool want_traits = true>
inline Digest classify(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                       uint64_t seed)
{
	constexpr uint32_t ethernet = 14, ipv4 = 20, tcp = 20, udp = 8;
	if (link != LinkType::ethernet || captured < ethernet + ipv4 + tcp) [[unlikely]]
		return classify_slow(data, captured, link, kind, seed);
	if constexpr (!want_traits) {
		// Tags and short datagrams are left to the other instance, which is not inlined here: the
		// loops around this keep their registers.
		if (!is_plain_untagged(data)) [[unlikely]]
			return classify_tagged(data, captured, link, kind, seed);
		const uint32_t ports = load<uint32_t>(data + 34);
		const uint8_t protocol = data[23];
		if (kind == KeyKind::inner && protocol == 17 && is_tunnel_port(ports))
			return classify_slow(data, captured, link, kind, seed);
		return {hash_ipv4(load<uint64_t>(data + 26), ports, protocol, kind, seed), 0};
	}
	const auto [l3, type] = skip_ethernet(data);
	if (type != swap16(0x0800) || captured < l3 + ipv4 + tcp) [[unlikely]]
		return classify_slow(data, captured, link, kind, seed);

	const uint8_t *ip = data + l3;
	const uint8_t *l4 = ip + ipv4;
	// Version 4 and five words of header; no more-fragments flag, no fragment offset.
	const uint64_t first = load<uint64_t>(ip);
	const uint32_t plain = (first & 0xff3f'0000'0000'00ff) == 0x45;
	const uint8_t protocol = ip[9];
	const uint32_t is_tcp = protocol == 6;
	const uint32_t is_udp = protocol == 17;
	const uint32_t length = be16(ip + 2);
	const uint32_t long_enough = length >= (is_tcp ? ipv4 + tcp : ipv4 + udp);
	if (!(plain & (is_tcp | is_udp) & long_enough)) [[unlikely]]
		return classify_slow(data, captured, link, kind, seed);

	const uint32_t ports = load<uint32_t>(l4);
	if (kind == KeyKind::inner && is_udp && is_tunnel_port(ports))
		return classify_slow(data, captured, link, kind, seed);

	uint32_t traits = 0;
	if constexpr (want_traits)
		traits =
			trait_ipv4 | tos_traits.of[first >> 8 & 0xff] | l4_traits(l4, protocol, length - ipv4);

	return {hash_ipv4(load<uint64_t>(ip + 12), ports, protocol, kind, seed), traits};
}

} // namespace reframer::packet
