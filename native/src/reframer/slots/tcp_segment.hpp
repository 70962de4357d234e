// A held packet as TCP repair and ACK thinning see it: headers read once more, at release.
#pragma once

#include "packet/classify.hpp"
#include "reframer/slots/slots.hpp"

#include <cstdint>

namespace reframer::stage {

struct Segment {
	uint64_t flow; // keyed hash of the directional 5-tuple
	uint32_t slot;
	uint32_t sequence, acknowledgement;
	uint32_t timestamp, echo; // 0 unless has_timestamp
	uint32_t position;        // in the group
	bool tcp;                 // whole TCP header readable; the rest is about TCP only
	bool data;                // carries payload
	bool barrier;             // SYN, RST: sequence numbers before and after do not compare
	bool plain_ack;           // flags exactly ACK, no payload, no option but a timestamp
	bool has_timestamp;
};

Segment read_segment(const Slot *slots, uint32_t id, uint32_t position, packet::LinkType link,
                     packet::KeyKind key, uint64_t seed);

// Wrap-safe: is `a` before `b`? (RFC 9293, 3.4)
constexpr bool sequence_before(uint32_t a, uint32_t b)
{
	return static_cast<int32_t>(a - b) < 0;
}

} // namespace reframer::stage
