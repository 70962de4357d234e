#include "packet/classify.hpp"

#include "packet/bytes.hpp"
#include "packet/flow_key.hpp"
#include "packet/fragment_flows.hpp"
#include "packet/parse.hpp"

#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

namespace reframer::packet {

namespace {

uint32_t traits_of(const Headers &h)
{
	uint32_t traits = h.version == 4 ? trait_ipv4 : trait_ipv6;
	if (h.fragment_version != 0)
		traits |= trait_fragment;
	traits |= tos_traits.of[h.dscp << 2 | h.ecn];
	// Behind the first fragment's ports and flags is not the whole segment; behind the others
	// there are none.
	const bool tcp = h.protocol == 6;
	if (tcp)
		traits |= trait_tcp;
	else if (h.protocol == 17)
		traits |= trait_udp;
	else
		return traits;
	if ((h.flags & header_ports) && (h.source_port == port_dns || h.destination_port == port_dns))
		traits |= trait_dns;
	if (tcp && (h.flags & header_tcp_flags)) {
		traits |= (h.tcp_flags & 0x0fu) * trait_fin;
		if ((h.tcp_flags & 0x1ff) == 0x10 && (h.flags & header_payload) && h.payload_length == 0 &&
		    h.fragment_version == 0)
			traits |= trait_pure_ack;
	}
	return traits;
}

// Is this Ethernet, up to two VLAN tags, IPv6 and right behind it TCP or UDP with a whole header?
// If so its digest, without a walk through headers.
bool classify_plain_ipv6(const uint8_t *data, uint32_t captured, KeyKind kind, uint64_t seed,
                         Digest &digest)
{
	constexpr uint32_t ethernet = 14, ipv6 = 40, tcp = 20, udp = 8;
	if (captured < ethernet + ipv6 + tcp)
		return false;
	const auto [l3, type] = skip_ethernet(data);
	if (type != swap16(0x86dd) || captured < l3 + ipv6 + tcp)
		return false;
	const uint8_t *ip = data + l3;
	const uint8_t *l4 = ip + ipv6;
	const uint8_t protocol = ip[6];
	const uint32_t is_tcp = protocol == 6, is_udp = protocol == 17;
	const uint32_t length = be16(ip + 4);
	const uint32_t ports = load<uint32_t>(l4);
	if (ip[0] >> 4 != 6 || !(is_tcp | is_udp) || length < (is_tcp ? tcp : udp) ||
	    (kind == KeyKind::inner && is_udp && is_tunnel_port(ports)))
		return false;

	digest.traits =
		trait_ipv6 | tos_traits.of[be16(ip) >> 4 & 0xff] | l4_traits(l4, protocol, length);
	const uint8_t *source = ip + 8, *destination = ip + 24;
	uint64_t tail = hash_tail(ports, protocol, static_cast<uint8_t>(KeyShape::flow));
	if (kind == KeyKind::symmetric) {
		const int order = std::memcmp(source, destination, 16);
		if (order > 0 || (order == 0 && be16(l4) > be16(l4 + 2))) {
			std::swap(source, destination);
			tail = hash_tail(std::rotl(ports, 16), protocol, static_cast<uint8_t>(KeyShape::flow));
		}
	} else if (kind == KeyKind::destination) {
		static constexpr uint8_t any[16] = {};
		source = any;
		tail = hash_tail(0, 0, static_cast<uint8_t>(KeyShape::address));
	}
	const auto [a, b] = hash_words_v6(source, destination, tail, seed);
	digest.hash = hash_words(a, b, seed);
	return true;
}

} // namespace

Digest classify_tagged(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                       uint64_t seed)
{
	return classify<true>(data, captured, link, kind, seed);
}

Digest classify_slow(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                     uint64_t seed)
{
	Digest digest;
	if (link == LinkType::ethernet && classify_plain_ipv6(data, captured, kind, seed, digest))
		return digest;
	return classify_parsed(data, captured, link, kind, seed);
}

Digest classify_parsed(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                       uint64_t seed)
{
	// The length on the wire is unknown here: what IP states is taken for true past `captured`.
	constexpr uint32_t wire = UINT32_MAX;
	const Depth depth = kind == KeyKind::inner ? Depth::innermost : Depth::outer;
	const Headers h = parse(data, captured, wire, link, depth);
	if (h.version == 0 && !h.labels_whole)
		return {unparsed_hash, trait_unparsed};
	const uint32_t hash = hash_of(grouping_key(flow_key_of(h, data), kind), seed);
	if (h.version == 0)
		return {hash, 0};
	const uint32_t traits = traits_of(h);
	return {hash, kind == KeyKind::destination ? traits & ~trait_fragment : traits};
}

Fragment read_fragment(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                       uint64_t seed)
{
	const Depth depth = kind == KeyKind::inner ? Depth::innermost : Depth::outer;
	const Headers h = parse(data, captured, UINT32_MAX, link, depth);
	const FlowKey datagram = datagram_key_of(h, data);
	Fragment fragment = {};
	// Two keyed halves: a datagram must not be taken for another, and 32 bits can coincide.
	fragment.own_hash = hash_of(datagram, seed);
	fragment.datagram = static_cast<uint64_t>(hash_of(datagram, ~seed)) << 32 | fragment.own_hash;
	fragment.first = h.fragment_offset == 0;
	if (fragment.first)
		fragment.flow_hash = hash_of(grouping_key(flow_key_of(h, data), kind), seed);
	return fragment;
}

} // namespace reframer::packet
