#include "reframer/slots/tcp_segment.hpp"

#include "packet/bytes.hpp"
#include "packet/flow_key.hpp"
#include "packet/parse.hpp"

namespace reframer::stage {

namespace {

constexpr uint16_t flag_syn = 0x02, flag_rst = 0x04, flag_ack = 0x10, flags_all = 0x1ff;
constexpr uint32_t tcp_header = 20;
constexpr uint8_t option_end = 0, option_nop = 1, option_timestamp = 8, timestamp_length = 10;

// The timestamp, where there is one. True if nothing but padding is there beside it.
bool read_options(const uint8_t *at, const uint8_t *end, Segment &segment)
{
	bool alone = true;
	while (at < end && *at != option_end) {
		if (*at == option_nop) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return false;
		if (*at == option_timestamp && at[1] == timestamp_length && !segment.has_timestamp) {
			segment.timestamp = packet::be32(at + 2);
			segment.echo = packet::be32(at + 6);
			segment.has_timestamp = true;
		} else {
			alone = false;
		}
		at += at[1];
	}
	return alone;
}

} // namespace

Segment read_segment(const Slot *slots, uint32_t id, uint32_t position, packet::LinkType link,
                     packet::KeyKind key, uint64_t seed)
{
	Segment segment = {};
	segment.slot = id;
	segment.position = position;
	const Slot &slot = slots[id];
	const auto depth =
		key == packet::KeyKind::inner ? packet::Depth::innermost : packet::Depth::outer;
	const packet::Headers h = packet::parse(slot.data, slot.captured, slot.wire, link, depth);
	if (h.version == 0 || h.protocol != 6 || h.fragment_version != 0 ||
	    !(h.flags & packet::header_tcp_flags) || !(h.flags & packet::header_payload) ||
	    uint64_t{h.l4} + tcp_header > slot.captured)
		return segment;
	const uint8_t *tcp = slot.data + h.l4;
	const packet::FlowKey flow = packet::five_tuple_of(h, slot.data);
	// Two keyed halves: a flow must not be taken for another, and 32 bits can coincide.
	segment.flow =
		static_cast<uint64_t>(packet::hash_of(flow, seed)) << 32 | packet::hash_of(flow, ~seed);
	segment.tcp = true;
	segment.sequence = packet::be32(tcp + 4);
	segment.acknowledgement = packet::be32(tcp + 8);
	segment.data = h.payload_length > 0;
	segment.barrier = h.tcp_flags & (flag_syn | flag_rst);
	const uint32_t length = static_cast<uint32_t>(tcp[12] >> 4) * 4;
	const bool plain_options = length >= tcp_header && uint64_t{h.l4} + length <= slot.captured &&
	                           read_options(tcp + tcp_header, tcp + length, segment);
	segment.plain_ack = (h.tcp_flags & flags_all) == flag_ack && !segment.data && plain_options;
	return segment;
}

} // namespace reframer::stage
