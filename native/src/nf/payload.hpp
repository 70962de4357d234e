// What a TCP segment or UDP datagram carries.
#pragma once

#include "nf/context.hpp"

#include <algorithm>

namespace reframer::nf {

struct Payload {
	const uint8_t *data;
	uint32_t size; // captured bytes of it; 0: none, or another protocol
};

// `l3`, `l4`: offsets of an IPv4 header and of the header behind it; `layer4` of enum Layer4.
inline Payload payload_of(const Mbuf &m, uint32_t l3, uint32_t l4, uint8_t layer4)
{
	const uint8_t *const frame = m.data();
	const uint32_t end =
		std::min<uint32_t>(l3 + __builtin_bswap16(load16(frame + l3 + 2)), m.captured);
	uint32_t header = 8; // UDP's
	if (layer4 == layer4_tcp) {
		if (m.captured < l4 + 13)
			return {frame, 0};
		header = (frame[l4 + 12] >> 4) * 4u;
	} else if (layer4 != layer4_udp) {
		return {frame, 0};
	}
	const uint32_t start = l4 + header;
	return {frame + start, end > start ? end - start : 0};
}

} // namespace reframer::nf
