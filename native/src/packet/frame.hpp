// A frame as captured or received: bytes, lengths, time, and what kind of link it came from.
#pragma once

#include <cstdint>

namespace reframer::packet {

// Values are the LINKTYPE_ numbers of the capture formats (tcpdump.org/linktypes.html).
enum class LinkType : uint16_t {
	null_loopback = 0,
	ethernet = 1,
	ppp = 9,
	fddi = 10,
	ppp_hdlc = 50,
	pppoe = 51,
	raw_ip = 101,
	chdlc = 104,
	loop = 108,
	linux_sll = 113,
	ipv4 = 228,
	ipv6 = 229,
	linux_sll2 = 276,
};

struct Frame {
	const uint8_t *data; // `captured` bytes may be read
	uint32_t captured;
	uint32_t wire;    // length on the wire; may be larger (snaplen) or, in odd captures, smaller
	uint64_t time_ns; // since the epoch of its source
	LinkType link;
	uint16_t interface; // index of the capture interface, 0 where the format has none
};

} // namespace reframer::packet
