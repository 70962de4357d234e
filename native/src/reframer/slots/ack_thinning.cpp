#include "reframer/slots/ack_thinning.hpp"

namespace reframer::stage {

namespace {

// A probe of a closed window or of a silent peer has an old sequence number, and is sent for the answer:
// its acknowledgement is not looked at (RFC 9293, 3.10.7.4).
bool covers(const Segment &later, const Segment &earlier)
{
	return later.sequence == earlier.sequence &&
	       sequence_before(earlier.acknowledgement, later.acknowledgement);
}

bool same_clock(const Segment &a, const Segment &b)
{
	return a.has_timestamp == b.has_timestamp &&
	       (!a.has_timestamp || (a.timestamp == b.timestamp && a.echo == b.echo));
}

} // namespace

uint32_t thin_acks(std::span<const Segment> segments, uint8_t *taken)
{
	uint32_t nb_taken = 0;
	const Segment *before = nullptr, *candidate = nullptr;
	for (const Segment &segment : segments) {
		if (before && (!segment.tcp || segment.flow != before->flow || segment.barrier))
			before = candidate = nullptr;
		// Whatever else the flow sends carries an acknowledgement too, and an ACK that repeats
		// it is a duplicate: only ACKs between two plain ones that advance are taken.
		if (!segment.plain_ack) {
			before = candidate = nullptr;
			continue;
		}
		if (candidate && covers(segment, *candidate) && same_clock(*candidate, segment)) {
			taken[candidate->position] = 1;
			nb_taken++;
		} else if (candidate) {
			before = candidate;
		}
		if (!before || !covers(segment, *before)) {
			before = &segment;
			candidate = nullptr;
		} else {
			candidate = &segment;
		}
	}
	return nb_taken;
}

} // namespace reframer::stage
