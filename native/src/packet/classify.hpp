// What the reframing stage needs to know of a frame: the hash of its grouping key, and traits.
// The first thing that happens to a packet; inline because it is most of the stage's cost.
#pragma once

#include "packet/frame.hpp"

#include <cstdint>

namespace reframer::packet {

enum class KeyKind : uint8_t { five_tuple, symmetric, destination, inner };

// Bits of Digest::traits.
enum Trait : uint32_t {
	trait_unparsed = 1u << 0,  // no flow could be read: goes into the one group of such frames
	trait_ipv4 = 1u << 1,
	trait_ipv6 = 1u << 2,
	trait_tcp = 1u << 3,
	trait_udp = 1u << 4,
	trait_fragment = 1u << 5,  // any IP fragment: keyed by (source, destination, id)
	trait_syn = 1u << 6,
	trait_fin = 1u << 7,
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

} // namespace reframer::packet
