// A burst that passes the stage in the caller's hands, as it is counted.
#pragma once

#include "reframer/reframer.h"

#include <cstdint>

namespace reframer::stage {

struct Passed {
	uint32_t packets = 0;
	uint32_t changes = 0; // of the hash, from packet to packet
	uint64_t bytes = 0;
	// Hashes at the ends. Without one nothing is known of a packet: each is a run, whoever came last.
	uint64_t first = UINT64_MAX - 1, last = UINT64_MAX;

	// `next` came behind it.
	void append(const Passed &next)
	{
		if (packets == 0) {
			*this = next;
		} else if (next.packets > 0) {
			changes += next.changes + (next.first != last);
			packets += next.packets;
			bytes += next.bytes;
			last = next.last;
		}
	}
};

// `length` and `hash` give those of the packet with a number.
template <bool hashed, typename Length, typename Hash>
inline Passed count_passed(uint32_t packets, Length length, Hash hash)
{
	Passed passed = {packets};
	if (packets == 0)
		return passed;
	for (uint32_t i = 0; i < packets; i++)
		passed.bytes += length(i);
	if constexpr (!hashed) {
		passed.changes = packets - 1;
		return passed;
	}
	uint32_t last = hash(0);
	passed.first = last;
	for (uint32_t i = 1; i < packets; i++) {
		const uint32_t next = hash(i);
		passed.changes += next != last;
		last = next;
	}
	passed.last = last;
	return passed;
}

// reframer_pass(), for a caller that has counted.
void pass(reframer_stage *r, const Passed &burst, uint64_t now_ns);

} // namespace reframer::stage
