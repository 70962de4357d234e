// TCP segments of established connections, in order: what GRO may merge. Their checksums are valid, or
// have the kernel's word that a device looks after them, as behind a NIC.
#pragma once

#include <array>
#include <cstdint>
#include <sys/socket.h>
#include <vector>

namespace reframer::lab {

// struct virtio_net_hdr; the kernel's header is not C++.
struct OffloadHeader {
	static constexpr uint8_t needs_checksum = 1;
	uint8_t flags, segmentation;
	uint16_t header_bytes, segment_bytes, checksum_start, checksum_offset;
};
static_assert(sizeof(OffloadHeader) == 10);

struct SegmentSpec {
	uint8_t destination_mac[6];
	uint32_t source, destination; // in host order
	uint32_t flows, payload;
	bool offloaded; // checksums: each message begins with an OffloadHeader

	// Ethernet, IPv4, TCP with timestamps.
	static constexpr uint32_t header_bytes = 14 + 20 + 32;
	// When it was sent, at the beginning of the payload; 0: that is not told.
	static constexpr uint32_t stamp_bytes = 8;
	uint32_t frame_bytes() const { return header_bytes + payload; }
};

class Segments {
public:
	// Flow f has source port first_port + f.
	static constexpr uint16_t first_port = 10000;
	static constexpr uint32_t first_sequence(uint32_t flow) { return flow * 7919; }

	// Room for `room` segments at a time; their payload is one piece of zeros for all.
	Segments(const SegmentSpec &spec, uint32_t room);
	Segments(const Segments &) = delete;
	Segments &operator=(const Segments &) = delete;

	// Makes message `slot` the next segment of a flow.
	void write(uint32_t slot, uint32_t flow);
	// Writes down when it is sent, in nanoseconds of CLOCK_MONOTONIC.
	void stamp(uint32_t slot, uint64_t now_ns);
	mmsghdr *messages() { return messages_.data(); }

private:
	using Header = std::array<uint8_t, SegmentSpec::header_bytes + SegmentSpec::stamp_bytes>;
	struct Flow {
		Header header;
		uint64_t sum; // of pseudo header and, not offloaded, the rest without the sequence number
		uint32_t sequence;
	};

	uint32_t payload_;
	bool offloaded_;
	OffloadHeader offload_{};
	std::vector<uint8_t> zeros_;
	std::vector<Flow> flows_;
	std::vector<Header> headers_;
	std::vector<uint64_t> sums_; // of each slot, without the stamp
	std::vector<iovec> pieces_;  // three a message
	std::vector<mmsghdr> messages_;
};

} // namespace reframer::lab
