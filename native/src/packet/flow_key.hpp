// The identity of a flow as a value: what classify() hashes, in full.
#pragma once

#include "packet/classify.hpp"
#include "packet/parse.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>

namespace reframer::packet {

struct FlowKey {
	std::array<uint8_t, 16> source; // IPv4 and MAC addresses in front, the rest 0; MPLS labels
	std::array<uint8_t, 16> destination;
	uint16_t source_port; // host order
	uint16_t destination_port;
	uint32_t id; // fragment id, SPI, or EtherType, as `shape` says
	uint8_t protocol;
	uint8_t version; // 4, 6, 0
	KeyShape shape;
	uint8_t reserved; // 0

	bool operator==(const FlowKey &) const = default;
	// Is there a flow, as opposed to the one group of all that cannot be parsed?
	bool is_flow() const { return version != 0 || shape == KeyShape::labels; }
};
static_assert(sizeof(FlowKey) == 44);
static_assert(std::has_unique_object_representations_v<FlowKey>, "keys are compared as bytes");

// `data` is the frame that `headers` came from. A first fragment has the key of whole packets, a
// later one that of its datagram: fragment_flows.hpp knows how they belong together. Frames that are
// not IP get a key of shape `link`, so that they can be told apart in counts; classify() puts them
// all into one group, but pseudowires into one a label stack.
FlowKey flow_key_of(const Headers &headers, const uint8_t *data);

// What the fragments of one packet share, one direction: addresses, protocol, id. Of shape `none`
// where the frame is none.
FlowKey datagram_key_of(const Headers &headers, const uint8_t *data);

// The 5-tuple as it stands in the frame, for counting flows: the first fragment of a packet has its
// ports, the later ones have none, ESP has addresses and protocol. Not what classify() groups by.
FlowKey five_tuple_of(const Headers &headers, const uint8_t *data);

// What a NIC hashes: every fragment, the first too, by its addresses alone.
FlowKey rss_key_of(const Headers &headers, const uint8_t *data);

// The key under which `kind` groups: symmetric() or the destination alone, else the key itself.
FlowKey grouping_key(const FlowKey &key, KeyKind kind);

// The same value for both directions. ESP and AH lose their SPI, which differs by direction.
FlowKey symmetric(const FlowKey &key);
FlowKey reversed(const FlowKey &key);

// Equals classify().hash when `key` came from grouping_key() for the same frame and kind.
uint32_t hash_of(const FlowKey &key, uint64_t seed);

// `udp 10.0.0.1:53 > 10.0.0.2:4000`, `tcp [2001:db8::1]:443 > ...`
std::string to_string(const FlowKey &key);

// All 64 bits, for hash tables of the standard library.
struct FlowKeyHash {
	size_t operator()(const FlowKey &key) const;
};

} // namespace reframer::packet

template <> struct std::hash<reframer::packet::FlowKey> : reframer::packet::FlowKeyHash {
};
