// The loop under test: receive up to a burst from the RX ring, the reframing stage, the chain,
// transmit. Both engines run this one: the virtual NIC with a clock of its own around each poll,
// the threads in real time.
#pragma once

#include "engine/dma.hpp"
#include "engine/queue.hpp"
#include "nf/chain.hpp"
#include "nf/memory.hpp"
#include "reframer/reframer.h"

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace reframer::engine {

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
	Descriptor *descriptor(uint64_t position) { return &ring_[position % config_.ring_depth]; }
	nf::Mbuf *posted(uint64_t position) const { return posted_[position % config_.ring_depth]; }
	// What a descriptor's `ready` says when the NIC has filled it.
	uint32_t lap(uint64_t position) const { return static_cast<uint32_t>(position / config_.ring_depth) + 1; }
	// Descriptors taken so far: as many, and the ring's depth, may be filled. Any thread may ask.
	uint64_t taken() const { return taken_.load(std::memory_order_acquire); }

	size_t nb_buffers() const { return nb_buffers_; }
	bool huge_pages() const { return pool_.huge(); }

private:
	nf::Mbuf *buffer(size_t i)
	{
		return reinterpret_cast<nf::Mbuf *>(pool_.data() + i * nf::Mbuf::stride);
	}
	uint32_t receive();
	uint32_t through_stage(uint32_t received, uint64_t now_ns, bool draining);

	QueueConfig config_;
	reframer_stage *stage_;
	nf::Chain &chain_;

	// A driver's doorbell: the NIC reads it.
	alignas(64) std::atomic<uint64_t> taken_{0};
	alignas(64) uint32_t head_ = 0; // taken_, as slot and lap
	uint32_t lap_ = 1;
	uint64_t in_stage_ = 0, thinned_ = 0;
	uint32_t nb_received_ = 0, nb_out_ = 0, nb_runs_ = 0;

	size_t nb_buffers_;
	nf::Region<uint8_t> pool_;
	nf::Region<Descriptor> ring_;
	nf::Region<nf::Mbuf *> posted_; // buffer of each ring slot
	std::vector<nf::Mbuf *> free_;  // last in, first out, as a mempool's cache
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
