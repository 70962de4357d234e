// What of the campus traffic can be changed; the defaults are the calibrated ones.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace reframer::traffic {

// Gaps inside a train of packets of one flow, log-uniform in each band. The first band is back to
// back (a full frame takes 120 ns at 100 Gbps); the upper bounds of the others are the T of the
// published SLF(T), so each T is ruled by one weight.
inline constexpr size_t nb_gap_bands = 7;
struct GapBand {
	uint32_t low_ns, high_ns;
};
inline constexpr std::array<GapBand, nb_gap_bands> gap_bands = {{{120, 400},
                                                                 {4000, 8000},
                                                                 {8000, 16000},
                                                                 {16000, 32000},
                                                                 {32000, 64000},
                                                                 {64000, 128000},
                                                                 {128000, 256000}}};

inline constexpr uint64_t campus_segment_bps = 2333000000; // 70 Gbps / 30

struct CampusParams {
	// Superposed trace segments, in hundredths: the published load axis. 30 segments are 70 Gbps
	// (NSDI'22 data: 9.6 Gbps at 4, 29.7 at 12, 69.9 at 30). Ignored where a rate is given.
	uint32_t segments_percent = 3000;
	// Share (of 65536) of a flow's gaps that fall into each band; what is left are the pauses
	// between trains. Job `calibrate` (8,000,000 packets, seeds 1..3); more rounds of its refit trade a
	// percent at one T for one at another.
	std::array<uint32_t, nb_gap_bands> gap_weight = {11250, 16680, 3660, 3400, 2290, 0, 0};
	// Mean pause that a flow has at least; a faster flow has longer trains instead. Fitted by hand
	// to SLF at T = 128 and 256 us: shorter pauses would join trains.
	uint32_t pause_floor_ns = 500000;
	// No flow is faster on average. The Campus trace has one at 90,000 packets/s (1 Gbit/s of full
	// frames), the merged windows of Campus #4 have it in one of four; without it SLF(256 us) fits
	// better. 90000 brings it back.
	uint32_t fastest_pps = 30000;
	uint32_t ipv6_permille = 50;  // connections; not published: an assumption
	uint32_t quic_permille = 200; // connections of more than 12 packets that are QUIC; assumption
	uint32_t udp_permille = 600;  // smaller ones that are UDP (mostly DNS); assumption
};

} // namespace reframer::traffic
