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

// Packets of a flow in a row.
double slf_of(const std::vector<uint32_t> &order);

} // namespace reframer::lab
