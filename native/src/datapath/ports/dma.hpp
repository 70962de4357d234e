// What a NIC does by itself: it writes received frames and descriptors, it reads sent frames. Here
// another core does so, outside of everything timed, so that the core under test finds neither in
// its private caches; and it keeps the virtual NIC's books, which would fill those caches too.
#pragma once

#include "datapath/ports/ring_port.hpp"
#include "datapath/queue.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <type_traits>

namespace reframer::engine {

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

	// Calls `work` on the writing core and waits for its end. What it throws is thrown here.
	template <typename Work> void run(Work &&work)
	{
		const Task task = {[](void *w) { (*static_cast<std::remove_reference_t<Work> *>(w))(); },
		                   const_cast<void *>(static_cast<const void *>(&work))};
		if (thread_.joinable())
			wait_for(task);
		else
			task.call(task.work);
	}

	// To be called within run(). The ring of `port` goes on at `position`.
	void receive(RingPort &port, uint64_t position, const Arrival &arrival);
	// Likewise. `number` tells packets apart in the answer.
	void transmit(const uint8_t *frame, uint32_t length, uint64_t number);

	// Sum over sent frames of a checksum of number, length and first 128 bytes (a chain changes
	// headers only).
	uint64_t answer() const { return answer_; }

private:
	struct Task {
		void (*call)(void *);
		void *work;
	};

	void wait_for(const Task &task);
	void serve();

	Into into_;
	uint64_t answer_ = 0;
	Task task_{};
	std::exception_ptr thrown_;
	uint64_t asked_local_ = 0;
	alignas(64) std::atomic<uint64_t> asked_{0};
	alignas(64) std::atomic<uint64_t> done_{0};
	alignas(64) std::atomic<bool> stop_{false};
	std::thread thread_;
};

} // namespace reframer::engine
