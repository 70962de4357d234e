// What a connection tracker reads of a TCP segment.
#pragma once

#include <cstdint>

namespace reframer::conntrack {

struct TcpSegment {
	static constexpr uint8_t fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, urg = 32;

	uint8_t flags = 0;
	uint8_t scale = 0; // of the window, where has_scale
	bool has_scale = false;
	bool sack_permitted = false;
	bool broken = false;            // no whole header, or flags that exclude each other
	uint16_t window = 0;            // as it stands in the header
	uint32_t sequence = 0, end = 0; // end: the number after the last one that this segment takes up
	uint32_t acknowledged = 0;
	uint32_t selectively = 0; // right end of the furthest block of SACK; without any: acknowledged
};

// Of two sequence numbers, which wrap around.
constexpr bool before(uint32_t a, uint32_t b)
{
	return static_cast<int32_t>(a - b) < 0;
}

// `length`: bytes of header and payload by the IP header; `captured`: those that are there. Options
// that were cut off are taken as absent.
TcpSegment read_tcp(const uint8_t *data, uint32_t captured, uint32_t length);

} // namespace reframer::conntrack
