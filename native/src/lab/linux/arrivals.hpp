// What comes out behind the router, counted by a programme of the kernel that drops it afterwards:
// every byte, and whether the bytes of each flow come in their order.
#pragma once

#include "devices/bpf.hpp"

#include <cstdint>
#include <string>

namespace reframer::lab {

struct ArrivalCounts {
	uint64_t frames;       // one may be several segments merged
	uint64_t bytes;        // of their payload
	uint64_t out_of_order; // frames that begin before the end of one that came earlier
	uint64_t gaps;         // frames that begin behind where the last one ended
	uint64_t others;       // that are none of these TCP segments
};

// From the stamp in a frame's first segment until it came; 0 where none had a stamp.
struct ArrivalDelays {
	double p50_us, p99_us;
};

class Arrivals {
public:
	// Flows as lab::Segments makes them. @throws engine::DeviceError
	Arrivals(const std::string &interface, uint32_t flows);

	// Forgets all; the next segment of each flow is its first one.
	void begin();
	ArrivalCounts read() const;
	ArrivalDelays delays() const;

private:
	uint32_t flows_;
	engine::BpfWords counters_, expected_, delays_;
	engine::FileDescriptor program_, link_;
};

} // namespace reframer::lab
