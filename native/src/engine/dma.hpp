// What a NIC does by itself: it writes received frames and descriptors, it reads sent frames. Here
// another core does so, outside of everything timed, so that the core under test finds neither in
// its private caches.
#pragma once

#include "nf/mbuf.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

namespace reframer::engine {

// What the NIC tells of a received frame. 32 bytes, as common NICs' receive descriptors have.
struct Descriptor {
	nf::Mbuf *buffer;
	uint32_t captured, wire, rss;
	uint32_t mark;       // number of the packet
	uint32_t zero;
	uint32_t ready;      // written last: the lap of the ring that this is, from 1
};
static_assert(sizeof(Descriptor) == 32);

// What the NIC says of a packet, whose frame it has put into a buffer.
struct Completion {
	nf::Mbuf *buffer;
	uint32_t captured, wire, rss, mark, ready;
};

// The frame into the buffer, then the descriptor: its `ready` is what a polling core waits for.
void write_received(Descriptor *slot, const Completion &completion, const uint8_t *frame);

class Dma {
public:
	enum class Into : uint8_t {
		llc,  // left in the caches of the writing core: read over the shared last-level cache, as
		      // with a NIC that writes into it (DDIO)
		dram, // written back and dropped from all caches, as with a NIC that cannot
	};

	// `core` is the writing core; -1 does the work on the calling thread (then only dram is honest).
	Dma(Into into, int core);
	~Dma();
	Dma(const Dma &) = delete;
	Dma &operator=(const Dma &) = delete;

	void receive(Descriptor *slot, const Completion &completion, const uint8_t *frame);
	// `number` tells packets apart in the answer.
	void transmit(const nf::Mbuf *buffer, uint64_t number);
	// Returns when all that was asked for is done.
	void settle();

	// Sum over sent frames of a checksum of number, length and first 128 bytes (a chain changes
	// headers only); settle() first.
	uint64_t answer() const { return answer_; }

private:
	struct alignas(64) Command {
		Descriptor *slot; // null: transmit
		Completion what;  // transmit: the buffer
		const uint8_t *frame;
		uint64_t number;
	};
	// Small: the ring itself passes through the caches of the core under test.
	static constexpr size_t ring_size = 256;

	void put(const Command &command);
	void work();
	void execute(const Command &command);

	Into into_;
	uint64_t answer_ = 0;
	std::array<Command, ring_size> ring_;
	uint64_t asked_local_ = 0;
	alignas(64) std::atomic<uint64_t> asked_{0};
	alignas(64) std::atomic<uint64_t> done_{0};
	alignas(64) std::atomic<bool> stop_{false};
	std::thread thread_;
};

} // namespace reframer::engine
