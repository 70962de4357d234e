// Packets for chains: flows in an order with more or less locality, in buffers that another core has
// filled.
#pragma once

#include "base/region.hpp"
#include "datapath/ports/dma.hpp"
#include "lab/conntrack/workload.hpp"
#include "nf/mbuf.hpp"
#include "traffic/generator.hpp"

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

namespace reframer::lab::chains {

enum class Locality : uint8_t {
	none,   // each packet of any flow
	trains, // 128 flows send at a time, in turns, 24 packets each
	caida,  // some flows far more often (Zipf 1.1); one packet in 31 of a new flow
	campus, // as the generator makes it, 70 Gbps on one core; the flows are its own
};

struct Packet {
	uint64_t flow;
	uint64_t time_ns;
	uint16_t wire;
};

class Traffic {
public:
	Traffic(Locality locality, uint64_t flows, uint64_t seed);

	// The next packets, in order of their time, from `after_ns` on.
	const std::vector<Packet> &next(uint32_t n, uint64_t after_ns);
	// Header of a packet: 64 bytes at most. @return its length
	uint32_t write(uint32_t i, uint8_t *frame) const;
	// NIC's hash of the packet's flow.
	uint32_t hash(uint32_t i) const;

	static constexpr uint32_t header_room = 64;
	// Ten million packets a second, what the published runs brought to a core.
	static constexpr uint64_t gap_ns = 100;

private:
	struct Train {
		uint64_t flow;
		uint32_t left;
	};
	uint64_t next_flow();

	Locality locality_;
	uint64_t flows_;
	std::mt19937_64 random_;
	std::vector<Train> trains_;
	std::unique_ptr<FlowStream> stream_;
	std::unique_ptr<traffic::Generator> campus_;
	std::vector<traffic::PacketMeta> metas_, more_;
	size_t more_at_ = 0;
	uint64_t campus_epoch_ns_ = 0;
	std::vector<Packet> packets_;
};

// Frame of a flow that the tables know before the first packet.
uint32_t write_known_flow(uint64_t flow, uint8_t *frame);

// Buffers, written by another core (`llc`: they are read from its caches) or flushed to memory. They are used in no order, as those
// of a mempool that has been in use for a while.
class Buffers {
public:
	Buffers(engine::Dma::Into into, int filler_core, uint64_t seed);
	// The packets of `traffic` from `first` on, in the next buffers.
	nf::Mbuf **fill(const Traffic &traffic, std::span<const Packet> packets, uint32_t first,
	                uint32_t n);

private:
	// What a ring and a mempool's cache keep in turn, and a hold of 64 us beside them. More would add
	// a walk of the page table to each header, for all styles alike.
	static constexpr uint32_t nb_buffers = 1u << 12;

	engine::Dma::Into into_;
	base::Region<uint8_t> memory_;
	std::vector<nf::Mbuf *> order_, filled_;
	std::vector<uint32_t> lengths_;
	uint32_t next_ = 0;
	engine::Dma dma_;
};

} // namespace reframer::lab::chains
