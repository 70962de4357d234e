#include "lab/captures/connection_packet.hpp"

#include <cstring>

namespace reframer::lab {

Ends read_ends(const packet::Frame &frame, const packet::Headers &h)
{
	Ends ends{};
	const uint8_t *ip = frame.data + h.l3;
	if (h.version == 4) {
		ends.source[10] = ends.source[11] = ends.destination[10] = ends.destination[11] = 0xff;
		std::memcpy(ends.source + 12, ip + 12, 4);
		std::memcpy(ends.destination + 12, ip + 16, 4);
	} else {
		std::memcpy(ends.source, ip + 8, 16);
		std::memcpy(ends.destination, ip + 24, 16);
	}
	ends.version = h.version;
	ends.protocol = h.protocol;
	if (h.flags & packet::header_ports) {
		ends.source_port = h.source_port;
		ends.destination_port = h.destination_port;
	}
	return ends;
}

conntrack::TcpSegment read_segment(const packet::Frame &frame, const packet::Headers &h)
{
	const uint32_t captured = frame.captured > h.l4 ? frame.captured - h.l4 : 0;
	const uint32_t length =
		h.flags & packet::header_payload ? h.payload - h.l4 + h.payload_length : captured;
	return conntrack::read_tcp(frame.data + h.l4, captured, length);
}

} // namespace reframer::lab
