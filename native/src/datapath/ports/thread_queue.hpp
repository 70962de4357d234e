// One RX queue and the core that polls it, in real time: the check of the virtual NIC.
//
// A second thread stands in for the NIC: it puts each packet into the ring when its time has come
// by the TSC, or drops it where the ring is full. The calling thread runs the same loop as the
// virtual queue's, as fast as it goes. Nothing is left out and nothing is charged: interrupts,
// preemptions and the cost of waiting for memory that another core writes are in the figures.
// What left when is written down, and looked at afterwards. The second thread is interrupted like
// any other, which no NIC is: how long the polling core found nothing for that reason is counted.
#pragma once

#include "datapath/poll_loop.hpp"
#include "datapath/ports/ring_port.hpp"
#include "datapath/queue.hpp"
#include "nf/chain.hpp"

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace reframer::engine {

class ThreadQueue {
public:
	// `nic_core` runs the second thread. `stage` may be null; it and `chain` stay the caller's.
	ThreadQueue(const QueueConfig &config, reframer_stage *stage, nf::Chain &chain, int nic_core);

	// All arrivals at once; to be called once. Returns when time is past `until_ns`, all have come
	// and nothing is left in ring or stage. Throws std::runtime_error where `nic_core` is not ours.
	void run(std::span<const Arrival> arrivals, double until_ns);

	// Of QueueResult, what only a clock of its own can tell stays 0: marked polls, the split of a
	// poll into stage and chain.
	const QueueResult &result() const { return result_; }
	bool huge_pages() const { return port_.huge_pages(); }

private:
	struct Poll {
		uint64_t start, stop; // TSC
		uint32_t received, processed, sent;
	};

	// A time in which the NIC's core did something else.
	struct Away {
		uint64_t start, stop; // TSC
	};

	void feed(std::span<const Arrival> arrivals);
	double starved_ticks() const;
	void consume(double until_ns);
	uint64_t poll(uint64_t start, bool draining);
	void account(std::span<const Arrival> arrivals);
	bool in_window(uint64_t ticks) const { return ticks >= window_start_ && ticks < window_end_; }
	double ns_at(uint64_t ticks) const
	{
		return config_.start_ns +
		       static_cast<double>(static_cast<int64_t>(ticks - origin_)) * ns_per_tick_;
	}

	QueueConfig config_;
	RingPort port_;
	BufferStage stage_;
	PollLoop<RingPort, BufferStage, nf::Chain> loop_;
	int nic_core_;
	double ns_per_tick_;
	uint64_t origin_ = 0;                        // TSC at start_ns
	uint64_t window_start_ = 0, window_end_ = 0; // TSC

	// Written by the one thread, read by the other.
	alignas(64) std::atomic<uint64_t> fed_{0}; // put into the ring, when `feeding_` has ended
	std::atomic<bool> feeding_{true};
	alignas(
		64) std::vector<uint8_t> accepted_; // by arrival; the second thread's until it has ended
	std::vector<Away> away_;                // likewise

	// The log of the polling thread.
	std::vector<Poll> polls_; // those that did something
	size_t nb_polls_ = 0;
	std::vector<uint32_t> departed_; // marks: numbers of arrivals
	size_t nb_departed_ = 0;

	QueueResult result_;
};

} // namespace reframer::engine
