// In which order the flows of a cycle of packets take turns: by construction, or as Reframer makes it.
#pragma once

#include <cstdint>
#include <vector>

namespace reframer::lab {

// Rounds in which every flow, in an order drawn anew, sends `in_a_row` packets; whole rounds, at
// least `packets`.
std::vector<uint32_t> interleaved_order(uint32_t flows, uint32_t in_a_row, uint32_t packets,
                                        uint64_t seed);

// What the stage makes of it when a packet comes each `gap_ns` and a core polls every 32 of them.
std::vector<uint32_t> reframed_order(const std::vector<uint32_t> &order, double gap_ns,
                                     uint64_t delay_ns);

struct CampusOrder {
	std::vector<uint32_t> order; // flows are numbered from 0 on
	uint32_t flows;
	double gap_ns; // between packets of the queue, those without data included
};

// Campus traffic at that rate, of the flows of one of `queues` receive queues, after the stage where
// `delay_ns` is not 0; of what it releases, the TCP segments with data. @throws JobError
CampusOrder campus_order(double offered_bps, uint32_t queues, uint32_t segments, uint64_t delay_ns,
                         uint64_t seed);

// Packets of a flow in a row.
double slf_of(const std::vector<uint32_t> &order);

} // namespace reframer::lab
