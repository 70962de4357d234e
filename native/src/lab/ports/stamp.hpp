// What a tester writes into the last bytes of a frame, and finds there when the frame comes back.
//
// It takes the place of payload, and has a word that makes its one's complement sum that of what was
// there: checksums stay right, for boxes that look at them. Frames without so much payload get it
// behind the datagram, where no checksum reaches. Boxes that translate addresses leave it alone.
#pragma once

#include "packet/parse.hpp"

#include <cstdint>
#include <cstring>

namespace reframer::dpdk {

struct Stamp {
	uint16_t balance; // of the sum
	uint16_t magic;   // of the run
	uint32_t flow, sequence;
	uint32_t sent_low, sent_high; // TSC of the tester
};
inline constexpr uint32_t stamp_bytes = 20;
static_assert(sizeof(Stamp) == stamp_bytes);

// Sixteen bits; equal sums stay equal when both are read at odd addresses.
inline uint16_t ones_sum(const uint8_t *data, uint32_t bytes)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i + 1 < bytes; i += 2) {
		uint16_t word;
		std::memcpy(&word, data + i, sizeof(word));
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return uint16_t(sum + (sum >> 16));
}

// Length of a frame with room for a stamp in its last bytes, `length` on the wire before.
inline uint32_t stamped_length(const uint8_t *data, uint32_t captured, uint32_t length)
{
	const packet::Headers h =
		packet::parse(data, captured, length, packet::LinkType::ethernet, packet::Depth::outer);
	if (!(h.flags & packet::header_payload))
		return length + stamp_bytes;
	if (h.payload_length >= stamp_bytes)
		return h.payload + h.payload_length; // padding of the link is cut off
	const uint32_t end = h.payload + h.payload_length;
	return end + stamp_bytes;
}

// `sum`: of the bytes that are there in a frame that came so, or of the last stamp.
inline void write_stamp(uint8_t *at, uint16_t sum, uint16_t magic, uint32_t flow, uint32_t sequence,
                        uint64_t sent)
{
	Stamp stamp = {0, magic, flow, sequence, uint32_t(sent), uint32_t(sent >> 32)};
	std::memcpy(at, &stamp, sizeof(stamp));
	const uint32_t others = ones_sum(at, sizeof(stamp));
	// sum = balance + others, so balance = sum - others.
	uint32_t balance = uint32_t{sum} + uint16_t(~others);
	balance = (balance & 0xffff) + (balance >> 16);
	stamp.balance = uint16_t(balance + (balance >> 16));
	std::memcpy(at, &stamp.balance, sizeof(stamp.balance));
}

} // namespace reframer::dpdk
