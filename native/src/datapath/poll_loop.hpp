// The loop under test: receive up to a burst from the RX ring, the reframing stage, the chain,
// transmit. Both engines run this one: the virtual NIC with a clock of its own around each poll,
// the threads in real time.
#pragma once

#include "base/region.hpp"
#include "datapath/queue.hpp"
#include "measure/memory_use.hpp"
#include "nf/chain.hpp"
#include "reframer/reframer.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace reframer::engine {

// What the NIC tells of a received frame. 32 bytes, as common NICs' receive descriptors have.
struct Descriptor {
	nf::Mbuf *buffer;
	uint32_t captured, wire, rss;
	uint32_t mark; // number of the packet
	uint32_t zero;
	uint32_t ready; // written last: the lap of the ring that this is, from 1
};
static_assert(sizeof(Descriptor) == 32);

// Of a frame, what a buffer takes.
inline uint32_t buffer_bytes(const Arrival &a)
{
	return std::min<uint32_t>(a.captured, nf::Mbuf::data_room);
}

class PollLoop {
public:
	// `stage` may be null: no stage. Both stay the caller's.
	PollLoop(const QueueConfig &config, reframer_stage *stage, nf::Chain &chain);

	// First half of a poll: what has been received goes into the stage, what is due comes out.
	// `load` goes to the stage, unless null.
	void take(uint64_t now_ns, bool draining, const reframer_load *load);
	// Second half: chain and transmit.
	void process();

	// Of the last poll: taken from the ring, put through the chain, sent.
	uint32_t received() const { return nb_received_; }
	uint32_t processed() const { return nb_out_; }
	std::span<nf::Mbuf *const> sent() const { return sent_; }
	uint64_t in_stage() const { return in_stage_; }
	// ACKs that the stage took out, so far.
	uint64_t thinned() const { return thinned_; }

	// The NIC's side. Where the ring goes on, and the buffer that lies there.
	uint32_t ring_depth() const { return config_.ring_depth; }
	const Descriptor *descriptor(uint64_t position) const
	{
		return &ring_[position % config_.ring_depth];
	}
	const nf::Mbuf *posted(uint64_t position) const
	{
		return posted_[position % config_.ring_depth];
	}
	// The frame into the posted buffer, then the descriptor: its `ready` is what the polling core
	// waits for. Whoever stands in for the NIC reads the posted address itself: the polling core,
	// which will write another there, no longer has that line alone.
	// Returns where the frame lies.
	const uint8_t *fill(uint64_t position, const Arrival &arrival, uint32_t mark);
	// Number of a buffer in the pool, from its place: its own line stays where it is.
	size_t index_of(const nf::Mbuf *m) const
	{
		return static_cast<size_t>(reinterpret_cast<const uint8_t *>(m) - pool_.data()) /
		       nf::Mbuf::stride;
	}
	// Descriptors taken so far: as many, and the ring's depth, may be filled. Any thread may ask.
	uint64_t taken() const { return taken_.load(std::memory_order_acquire); }

	size_t nb_buffers() const { return nb_buffers_; }
	bool huge_pages() const { return mostly_huge(pool_.data(), pool_.bytes()); }

private:
	nf::Mbuf *buffer(size_t i)
	{
		return reinterpret_cast<nf::Mbuf *>(pool_.data() + i * nf::Mbuf::stride);
	}
	uint32_t receive(uint32_t most);
	reframer_burst received_burst(uint32_t n) const;
	uint32_t through_stage(uint32_t received, uint64_t now_ns, bool draining);

	QueueConfig config_;
	reframer_stage *stage_;
	nf::Chain &chain_;

	size_t nb_buffers_;
	base::Region<uint8_t> pool_;
	base::Region<Descriptor> ring_;
	base::Region<nf::Mbuf *> posted_; // buffer of each ring slot

	// A driver's doorbell: the NIC reads it, and all above, nothing below.
	alignas(64) std::atomic<uint64_t> taken_{0};
	alignas(64) uint32_t head_ = 0; // taken_, as slot and lap
	uint32_t lap_ = 1;
	uint64_t in_stage_ = 0, thinned_ = 0;
	uint32_t nb_received_ = 0, nb_out_ = 0;
	nf::Mbuf **leaving_ = nullptr; // what the poll put through: received_ or out_

	std::vector<nf::Mbuf *> free_; // last in, first out, as a mempool's cache
	// A poll's working arrays.
	std::vector<nf::Mbuf *> received_, out_, dropped_, sent_;
	std::vector<const uint8_t *> data_;
	std::vector<uint32_t> captured_, wire_, hash_;
	std::vector<reframer_run> runs_;
	struct Transmit {
		const uint8_t *frame;
		uint32_t length;
	};
	std::vector<Transmit> tx_ring_;
	uint32_t tx_head_ = 0;
};

} // namespace reframer::engine
