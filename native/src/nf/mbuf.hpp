// A packet buffer as a driver hands it out: metadata, headroom, data, at a fixed stride.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reframer::nf {

// Offsets as a DPDK mbuf has them with default settings: 128 bytes of metadata, 128 of headroom,
// 2 KiB of data. One line more makes the stride an odd number of cache lines, which is how a DPDK
// mempool pads its elements: with a power of two all headers would share a few cache sets.
struct alignas(64) Mbuf {
	// The line that a driver writes on receive.
	uint32_t captured; // bytes at data()
	uint32_t wire;     // length on the wire; larger where a capture was cut
	uint32_t rss;      // Toeplitz hash that the NIC computed
	uint32_t index;    // of the buffer in its pool; constant
	uint32_t mark;     // number that the NIC gave the packet
	uint16_t next_hop; // written by the router
	uint8_t verdict;   // enum Verdict

	static constexpr size_t data_offset = 256;
	static constexpr size_t data_room = 2048;
	static constexpr size_t stride = 37 * 64;

	uint8_t *data() { return reinterpret_cast<uint8_t *>(this) + data_offset; }
	const uint8_t *data() const { return reinterpret_cast<const uint8_t *>(this) + data_offset; }
};

static_assert(sizeof(Mbuf) == 64);
static_assert(Mbuf::stride >= Mbuf::data_offset + Mbuf::data_room);
static_assert(Mbuf::stride / 64 % 2 == 1);

} // namespace reframer::nf
