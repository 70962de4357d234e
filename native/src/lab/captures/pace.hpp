// When the frames of a capture would come at another rate: back to back, as fast as the wire takes
// them.
#pragma once

#include "packet/frame.hpp"

#include <algorithm>
#include <cstdint>

namespace reframer::lab {

// Ethernet, IEEE 802.3: preamble and gap between frames, check sequence, shortest frame without it.
inline constexpr uint32_t wire_gap_bytes = 20;
inline constexpr uint32_t wire_fcs_bytes = 4;
inline constexpr uint32_t wire_shortest_bytes = 60;

// The length on the wire. Some captures have lost it (0, or what was captured): never less than
// what is there.
inline uint32_t frame_length(const packet::Frame &frame)
{
	return std::max(frame.wire, frame.captured);
}

// Bits that a frame takes from an Ethernet link. `fcs_bytes` are those that its length includes.
inline uint64_t wire_bits(const packet::Frame &frame, uint32_t fcs_bytes)
{
	const uint32_t length = std::max(frame_length(frame), wire_shortest_bytes + fcs_bytes);
	return uint64_t{8} *
	       (length + wire_fcs_bytes - std::min(fcs_bytes, wire_fcs_bytes) + wire_gap_bytes);
}

// The moment, in nanoseconds from the start, at which `bits` have passed.
inline uint64_t pace_ns(uint64_t bits, uint64_t bits_per_second)
{
	return static_cast<uint64_t>(static_cast<unsigned __int128>(bits) * 1'000'000'000 /
	                             bits_per_second);
}

// A capture's clock may step back; the engine's must not. Held at the latest time seen.
class ForwardClock {
public:
	uint64_t operator()(uint64_t time_ns)
	{
		backwards_ += time_ns < previous_;
		previous_ = time_ns;
		latest_ = std::max(latest_, time_ns);
		return latest_;
	}
	uint64_t backwards() const { return backwards_; } // steps, not packets

private:
	uint64_t latest_ = 0, previous_ = 0, backwards_ = 0;
};

} // namespace reframer::lab
