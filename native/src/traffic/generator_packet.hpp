// One generated packet before it has bytes: enough for a trial that fills its own buffers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reframer::traffic {

// Bits of PacketMeta::kind: what the flow is. Together with the flow's number they say everything
// that does not change from packet to packet, so no table of flows is needed to write a frame.
enum Kind : uint8_t {
	kind_ipv6 = 1u << 0,
	kind_tcp = 1u << 1,        // otherwise UDP
	kind_timestamps = 1u << 2, // TCP carries the timestamp option: pure ACKs are 66 B, not 54
	kind_paired = 1u << 3,     // flow 2c and flow 2c+1 are the two directions of connection c
	kind_service = 3u << 4,    // index into service_ports
};
inline constexpr unsigned kind_service_shift = 4;
inline constexpr uint16_t service_ports[4] = {443, 80, 53, 8443};

enum TcpFlag : uint8_t { tcp_fin = 1, tcp_syn = 2, tcp_psh = 8, tcp_ack = 16 };

struct PacketMeta {
	uint64_t time_ns; // since the generator's start
	uint32_t flow;    // number of the flow; see kind_paired
	uint32_t hash;    // Toeplitz hash of the 5-tuple with the key of the RSS verification suite
	uint32_t seq;     // TCP sequence number, or the packet's number in a UDP flow
	uint32_t ack;
	uint16_t length;  // frame without FCS
	uint16_t payload; // bytes after the TCP or UDP header; the rest of `length` is padding
	uint8_t flags;    // TcpFlag
	uint8_t kind;     // Kind
	uint16_t reserved;
};
static_assert(sizeof(PacketMeta) == 32, "two a cache line");

// Addresses in network order (IPv4 in the first four bytes), ports in host order.
struct FlowTuple {
	uint8_t source[16];
	uint8_t destination[16];
	uint16_t source_port;
	uint16_t destination_port;
	uint8_t protocol;
	uint8_t ip_version;
};

// Frames never exceed this: a jumbo frame of 9000 bytes of IP plus Ethernet.
inline constexpr size_t max_frame_length = 9014;
// Ethernet, IPv6, TCP with timestamps: the most that precedes a payload.
inline constexpr size_t max_header_length = 14 + 40 + 32;

// `salt` belongs to the generator (its seed); different flows have different tuples.
FlowTuple flow_tuple(uint32_t salt, uint32_t flow, uint8_t kind);
uint32_t flow_hash(const FlowTuple &tuple);
size_t header_length(uint8_t kind);

// Queue of a hash where an RSS table of 128 entries is filled round robin.
inline uint32_t rss_queue(uint32_t hash, uint32_t queues)
{
	return (hash & 127) % queues;
}

// Writes the first min(room, meta.length) bytes of the frame and returns how many. Checksums are
// those of the whole frame however little of it is written.
size_t write_frame(uint32_t salt, const PacketMeta &meta, uint8_t *out, size_t room);

} // namespace reframer::traffic
