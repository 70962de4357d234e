// TCP segments of established connections, in order, with valid checksums: what GRO may merge.
#pragma once

#include <array>
#include <cstdint>
#include <sys/socket.h>
#include <vector>

namespace reframer::lab {

struct SegmentSpec {
	uint8_t destination_mac[6];
	uint32_t source, destination; // in host order
	uint32_t flows, payload;

	// Ethernet, IPv4, TCP with timestamps.
	static constexpr uint32_t header_bytes = 14 + 20 + 32;
	uint32_t frame_bytes() const { return header_bytes + payload; }
};

class Segments {
public:
	// Room for `room` segments at a time; their payload is one piece of zeros for all.
	Segments(const SegmentSpec &spec, uint32_t room);
	Segments(const Segments &) = delete;
	Segments &operator=(const Segments &) = delete;

	// Makes message `slot` the next segment of a flow.
	void write(uint32_t slot, uint32_t flow);
	mmsghdr *messages() { return messages_.data(); }

private:
	using Header = std::array<uint8_t, SegmentSpec::header_bytes>;
	struct Flow {
		Header header;
		uint64_t sum; // of pseudo header, TCP header and payload without the sequence number
		uint32_t sequence;
	};

	uint32_t payload_;
	std::vector<uint8_t> zeros_;
	std::vector<Flow> flows_;
	std::vector<Header> headers_;
	std::vector<iovec> pieces_; // two a message
	std::vector<mmsghdr> messages_;
};

} // namespace reframer::lab
