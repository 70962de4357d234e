// What serving a packet takes, measured: see service.cpp.
#pragma once

#include <cstdint>
#include <vector>

namespace reframer::lab {

// Nanoseconds of single packets, in the order in which they were served.
std::vector<float> measure_service_ns(uint64_t seed);

} // namespace reframer::lab
