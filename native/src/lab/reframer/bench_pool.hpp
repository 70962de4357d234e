// Received frames for the stage bench: buffers of real size, filled outside of everything timed, so
// that no header line is in the private caches of the core under test.
#pragma once

#include "base/region.hpp"
#include "datapath/ports/dma.hpp"
#include "traffic/campus.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

namespace reframer::lab {

enum class BenchTraffic : uint8_t {
	uniform, // each packet of any flow: hardly a packet finds its group
	bursts,  // any flow, 1.3 packets in a row on average: what a server's many clients send
	trains,  // some hundred flows send at a time, in turns, some packets each
	campus,  // as the generator makes it; the number of flows is its own
};

// What a poll of a NIC gives: one entry a packet, in order of arrival.
struct Received {
	std::vector<void *> packets;
	std::vector<const uint8_t *> data;
	std::vector<uint32_t> captured, hash;
};

class BenchPool {
public:
	// `filler_core` writes the frames (place llc) and must not be the core under test.
	// @throws std::runtime_error: it cannot be had
	BenchPool(engine::Dma::Into where, BenchTraffic kind, uint64_t flows, size_t stride,
	          uint32_t buffers, uint64_t seed, int filler_core);
	BenchPool(const BenchPool &) = delete;
	BenchPool &operator=(const BenchPool &) = delete;

	// The next packets, in the next buffers of the pool; valid until the pool has come round.
	const Received &fill(uint32_t count);

	// A default DPDK buffer in a mempool: 64 header, 128 mbuf, 128 headroom, 2048 data. 37 lines:
	// odd, so that frames spread over all sets of a cache.
	static constexpr size_t mempool_stride = 2368, data_offset = 320;
	static constexpr size_t stride_least = 448, stride_most = 4096;
	static constexpr uint32_t frame_bytes = 64;

private:
	void write(uint32_t count);
	void evict();
	uint64_t next_flow();

	engine::Dma::Into place_;
	BenchTraffic traffic_;
	uint64_t flows_;
	size_t stride_;
	uint32_t nb_buffers_;
	std::mt19937_64 random_;
	struct Train {
		uint64_t flow;
		uint32_t left;
	};
	std::vector<Train> trains_;
	Train row_ = {}; // traffic of bursts
	std::unique_ptr<traffic::Campus> campus_;
	std::vector<traffic::PacketMeta> metas_;
	size_t next_meta_ = 0;
	base::Region<uint8_t> buffers_;
	uint32_t next_buffer_ = 0;
	std::vector<uint8_t *> order_; // buffers, in the order of their use
	std::vector<uint64_t> flow_;   // of each packet of the fill
	std::vector<uint8_t> eviction_;
	Received received_;
	engine::Dma dma_;
};

} // namespace reframer::lab
