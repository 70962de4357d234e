// What of the campus traffic can be changed; the defaults are the calibrated ones.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace reframer::traffic {

// Bounds in ns of the gaps inside a train of packets of one flow; log-uniform between two bounds.
// From one maximum frame at 100 Gbps upwards; the other bounds are the T of the published SLF(T),
// so each T is ruled by one weight.
inline constexpr size_t nb_gap_bands = 7;
inline constexpr std::array<uint32_t, nb_gap_bands + 1> gap_bound_ns = {
    120, 1000, 8000, 16000, 32000, 64000, 128000, 256000};

struct CampusParams {
	// Superposed trace segments, in hundredths: the published load axis. 30 segments are 70 Gbps
	// (NSDI'22 data: 9.6 Gbps at 4, 29.7 at 12, 69.9 at 30). Ignored where a rate is given.
	uint32_t segments_percent = 3000;
	// Share (of 65536) of a flow's gaps that fall into each band; what is left are the pauses
	// between trains. Fitted: see campus.hpp.
	std::array<uint32_t, nb_gap_bands> gap_weight = {13000, 15000, 5000, 5000, 5000, 4000, 3000};
	// Mean pause that a flow has at least; a flow that is faster has all its gaps scaled down.
	uint32_t pause_floor_ns = 100000;
	uint32_t ipv6_permille = 50;   // connections; not published: an assumption
	uint32_t quic_permille = 200;  // connections of more than 12 packets that are QUIC; assumption
	uint32_t udp_permille = 600;   // smaller ones that are UDP (mostly DNS); assumption
};

} // namespace reframer::traffic
