// The shortest UDP frames of numbered flows, as jobs make them that need no capture.
#pragma once

#include "nf/mbuf.hpp"
#include "packet/checksum.hpp"

#include <cstdint>
#include <cstring>

namespace reframer::lab {

// Where the source address, the ports and the payload lie.
inline constexpr uint32_t udp_frame_bytes = 60, udp_source_at = 26, udp_ports_at = 34,
						  udp_payload_at = 42;

// What an nf::Mbuf and its frame lie in.
struct alignas(64) PacketBuffer {
	uint8_t bytes[nf::Mbuf::stride];
};

inline void write_udp_frame(nf::Mbuf *m, uint32_t flow)
{
	uint8_t *d = m->data();
	std::memset(d, 0, udp_frame_bytes);
	d[12] = 0x08;
	const uint8_t ip[] = {0x45,
	                      0,
	                      0,
	                      udp_frame_bytes - 14,
	                      0,
	                      0,
	                      0x40,
	                      0,
	                      64,
	                      17,
	                      0,
	                      0,
	                      10,
	                      uint8_t(flow >> 16),
	                      uint8_t(flow >> 8),
	                      uint8_t(flow),
	                      uint8_t(1 + flow * 2654435761u % 223),
	                      uint8_t(flow >> 4),
	                      uint8_t(flow),
	                      1};
	std::memcpy(d + 14, ip, sizeof(ip));
	const uint16_t sum = packet::checksum(d + 14, 20);
	std::memcpy(d + 24, &sum, 2);
	const uint8_t udp[] = {
		uint8_t(4 + flow % 200), uint8_t(flow >> 3), 0, 80, 0, udp_frame_bytes - 34, 0, 0};
	std::memcpy(d + udp_ports_at, udp, sizeof(udp));
	m->captured = m->wire = udp_frame_bytes;
}

} // namespace reframer::lab
