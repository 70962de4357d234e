// What of the campus traffic can be changed; the defaults are the calibrated ones.
#pragma once

#include <cstdint>

namespace reframer::traffic {

struct CampusParams {
	// Superposed trace segments, in hundredths: the published load axis. 30 segments are 70 Gbps
	// (NSDI'22 data: 9.6 Gbps at 4, 29.7 at 12, 69.9 at 30). Ignored where a rate is given.
	uint32_t segments_percent = 3000;
	uint32_t ipv6_permille = 50;   // connections; not published: an assumption
	uint32_t quic_permille = 200;  // connections of more than 12 packets that are QUIC; assumption
	uint32_t udp_permille = 600;   // smaller ones that are UDP (mostly DNS); assumption
};

} // namespace reframer::traffic
