// A port whose NIC is played by another: an RX ring of descriptors that somebody fills, a pool of
// buffers, a TX ring that frees them; and the stage on its packets. The virtual NIC and the thread that
// stands in for one use it.
#pragma once

#include "base/region.hpp"
#include "datapath/poll_loop.hpp"
#include "datapath/queue.hpp"
#include "measure/memory_use.hpp"
#include "nf/mbuf.hpp"
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

class RingPort {
public:
	using Packet = nf::Mbuf;

	// `most_out`: packets that may leave in one poll.
	RingPort(const QueueConfig &config, uint32_t most_out);

	// The loop's side. The time of a poll is what the engine says it is.
	void set_time(uint64_t now_ns) { now_ns_ = now_ns; }
	uint64_t now() const { return now_ns_; }
	struct Received {
		nf::Mbuf **packets;
		const uint32_t *wire, *hash;
		uint32_t count;
	};
	// The driver's part of a poll: descriptors to buffers, fresh buffers into the ring.
	Received rx(uint32_t most);
	static void mark(Step) {}
	nf::Mbuf **dropped() { return dropped_.data(); }
	void tx(nf::Mbuf **packets, uint32_t n, uint32_t nb_dropped);
	void free(nf::Mbuf *const *packets, uint32_t n)
	{
		free_.insert(free_.end(), packets, packets + n); // room for every buffer is reserved
	}

	// Sent by the last poll.
	std::span<nf::Mbuf *const> sent() const { return sent_; }

	// The NIC's side. Where the ring goes on, and the buffer that lies there.
	const Descriptor *descriptor(uint64_t position) const { return &ring_[position % depth_]; }
	const nf::Mbuf *posted(uint64_t position) const { return posted_[position % depth_]; }
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

	const uint32_t depth_;
	size_t nb_buffers_;
	base::Region<uint8_t> pool_;
	base::Region<Descriptor> ring_;
	base::Region<nf::Mbuf *> posted_; // buffer of each ring slot

	// A driver's doorbell: the NIC reads it, and all above, nothing below.
	alignas(64) std::atomic<uint64_t> taken_{0};
	alignas(64) uint32_t head_ = 0; // taken_, as slot and lap
	uint32_t lap_ = 1;
	uint64_t now_ns_ = 0;

	std::vector<nf::Mbuf *> free_; // last in, first out, as a mempool's cache
	// A poll's working arrays.
	std::vector<nf::Mbuf *> received_, dropped_, sent_;
	std::vector<uint32_t> wire_, hash_;
	struct Transmit {
		const uint8_t *frame;
		uint32_t length;
	};
	std::vector<Transmit> tx_ring_;
	uint32_t tx_head_ = 0;
};

// The reframing stage between what the port has received and what it sends. Without a stage, and while
// the stage gains nothing by holding, packets go on as they came.
class BufferStage {
public:
	// `stage` may be null: none. Both stay the caller's.
	BufferStage(const QueueConfig &config, reframer_stage *stage, RingPort &port);

	// Packets that may leave in one poll.
	static uint32_t most_out(const QueueConfig &config, const reframer_stage *stage)
	{
		return (stage ? config.max_held : 0) + config.burst + release_room;
	}

	// A loop that takes out all that is due never finds the stage without room.
	uint32_t room(uint64_t now_ns, uint32_t most) const
	{
		return stage_ && config_.release_max ? std::min(most, reframer_room(stage_, now_ns)) : most;
	}
	Batch<nf::Mbuf> pass(const RingPort::Received &received, uint64_t now_ns, bool draining);

	// What the stage is told of the load with the packets of each poll; null: nothing.
	void set_load(const reframer_load *load) { load_ = load; }

	uint64_t held() const { return held_; }
	// ACKs that the stage took out, so far.
	uint64_t thinned() const { return thinned_; }

private:
	// Packets that one reframer_poll() may give out.
	static constexpr uint32_t release_room = 256;

	reframer_burst burst_of(const RingPort::Received &received) const;
	void push(const RingPort::Received &received, uint64_t now_ns);
	Batch<nf::Mbuf> release(uint64_t now_ns, bool draining);
	void free_thinned();

	QueueConfig config_;
	reframer_stage *stage_;
	RingPort &port_;
	const reframer_load *load_ = nullptr;
	uint64_t held_ = 0, thinned_ = 0;

	// A poll's working arrays.
	std::vector<nf::Mbuf *> out_;
	std::vector<const uint8_t *> data_;
	std::vector<uint32_t> captured_;
	std::vector<reframer_run> runs_;
};

} // namespace reframer::engine
