#include "lab/captures/connection_packet.hpp"

#include "packet/bytes.hpp"

#include <algorithm>
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

uint32_t sctp_seconds(bool &associated, bool is_first, const packet::Frame &frame,
                      const packet::Headers &h)
{
	constexpr uint8_t init = 1, init_ack = 2, abort = 6, shutdown = 7, shutdown_ack = 8,
					  cookie_echo = 10, cookie_ack = 11, shutdown_complete = 14;
	if (is_first)
		associated = true; // unless it begins with a handshake
	uint32_t seconds = 0;
	for (uint64_t at = h.l4 + 12; at + 4 <= frame.captured;) {
		const uint8_t *chunk = frame.data + at;
		switch (chunk[0]) {
		case init:
		case init_ack:
		case cookie_echo:
			associated = false;
			break;
		case cookie_ack:
			associated = true;
			break;
		case shutdown:
		case shutdown_ack:
			seconds = sctp_handshake_timeout_seconds;
			break;
		case abort:
		case shutdown_complete:
			seconds = conntrack::tcp_timeout_seconds(conntrack::TcpState::close);
			break;
		default:
			break;
		}
		const uint32_t length = packet::be16(chunk + 2);
		at += (std::max(length, 4u) + 3) & ~3u;
	}
	if (seconds == 0)
		seconds = associated ? sctp_timeout_seconds : sctp_handshake_timeout_seconds;
	return seconds;
}

} // namespace reframer::lab
