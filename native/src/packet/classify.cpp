#include "packet/classify.hpp"

#include "packet/flow_key.hpp"
#include "packet/parse.hpp"

#include <cstdint>

namespace reframer::packet {

namespace {

uint32_t traits_of(const Headers &h)
{
	uint32_t traits = h.version == 4 ? trait_ipv4 : trait_ipv6;
	if (h.flags & header_fragment)
		traits |= trait_fragment;
	if (h.dscp == 46)
		traits |= trait_dscp_ef;
	if (h.ecn == 1)
		traits |= trait_ect1;
	// Behind the first fragment's ports and flags is not the whole segment; behind the others
	// there are none.
	const bool tcp = h.protocol == 6;
	if (tcp)
		traits |= trait_tcp;
	else if (h.protocol == 17)
		traits |= trait_udp;
	else
		return traits;
	if ((h.flags & header_ports) &&
	    (h.source_port == port_dns || h.destination_port == port_dns))
		traits |= trait_dns;
	if (tcp && (h.flags & header_tcp_flags)) {
		traits |= (h.tcp_flags & 0x0fu) * trait_fin;
		if ((h.tcp_flags & 0x1ff) == 0x10 && (h.flags & header_payload) && h.payload_length == 0 &&
		    !(h.flags & header_fragment))
			traits |= trait_pure_ack;
	}
	return traits;
}

} // namespace

Digest classify_slow(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                     uint64_t seed)
{
	// The length on the wire is unknown here: what IP states is taken for true past `captured`.
	constexpr uint32_t wire = UINT32_MAX;
	const Depth depth = kind == KeyKind::inner ? Depth::innermost : Depth::outer;
	const Headers h = parse(data, captured, wire, link, depth);
	if (h.version == 0)
		return {unparsed_hash, trait_unparsed};
	return {hash_of(grouping_key(flow_key_of(h, data), kind), seed), traits_of(h)};
}

} // namespace reframer::packet
