// One RX queue of the virtual NIC and the core that polls it, on a clock of their own.
//
// Packets arrive by the clock into a ring; a full ring drops. The loop under test is the real one:
// take up to a burst from the ring, the reframing stage, the chain, transmit. What each poll takes
// by the TSC, and nothing else, advances the clock; without work the clock jumps, in steps of an
// empty poll, to what comes next. Between two polls, outside of the timed part, the core that stands
// in for the NIC puts frames into buffers and books what left: the polling core's caches see none of
// it.
#pragma once

#include "datapath/poll_loop.hpp"
#include "datapath/ports/dma.hpp"
#include "datapath/ports/ring_port.hpp"
#include "datapath/queue.hpp"
#include "measure/marks.hpp"
#include "measure/order_of_flows.hpp"
#include "measure/virtual_clock.hpp"
#include "nf/chain.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace reframer::engine {

class VirtualQueue {
public:
	// `stage` may be null: no stage. Both stay the caller's.
	VirtualQueue(const QueueConfig &config, reframer_stage *stage, nf::Chain &chain, Dma &dma);

	// Takes all arrivals up to `until_ns` and runs until the clock is past it; what comes later is
	// for the next call.
	void run(std::span<const Arrival> arrivals, double until_ns);
	// No more arrivals: runs until nothing is left in ring or stage.
	void drain();

	// What finding nothing costs; 0 with a fixed service time.
	double empty_poll_ns() const { return empty_poll_ns_; }
	double clock_ns() const { return clock_; }
	const QueueResult &result();
	bool huge_pages() const { return port_.huge_pages(); }

	// Called with every frame that departs, outside of the timed part; it must not change it.
	std::function<void(const nf::Mbuf &, double time_ns)> on_departure;
	// The same, with what the packet waited.
	struct Left {
		uint32_t flow;
		double time_ns;
		uint64_t latency_ns, hold_ns; // from arrival; of it, in the stage
	};
	std::function<void(const nf::Mbuf &, const Left &)> on_left;
	// The same, for a core that takes the packets on: with the time that latency counts from.
	std::function<void(const nf::Mbuf &, double time_ns, uint64_t origin_ns, uint32_t flow)>
		on_hand_over;

private:
	struct Note { // what the checks know of the packet in a buffer
		uint64_t time_ns;
		uint64_t number;
		double taken_ns; // start of the poll that took it from the ring
		uint32_t flow, wire, captured;
	};
	struct Departure {
		uint64_t number;
		uint32_t flow;
	};

	void admit(std::span<const Arrival> arrivals);
	void poll(bool draining);
	void account();
	void note_taken();
	void check_order();
	double measure_empty_poll();
	double charge(uint32_t received, uint32_t processed, double ns);
	double fixed_cost();
	bool in_window(double t) const
	{
		return t >= config_.window_start_ns && t < config_.window_end_ns;
	}

	// Packets in the ring.
	uint64_t waiting() const { return filled_ - port_.taken(); }

	QueueConfig config_;
	RingPort port_;
	BufferStage buffer_stage_;
	PollLoop<RingPort, BufferStage, nf::Chain> loop_;
	Dma &dma_;

	VirtualClock clock_;
	bool held_back_ = false; // the last poll took nothing and gave nothing
	double poll_start_ = -1; // of a poll whose departures are not in the books yet; else negative
	double ns_per_tick_;
	double empty_poll_ns_ = 0;
	size_t next_ = 0;     // arrival that has not come yet
	uint64_t number_ = 0; // arrivals so far
	uint64_t filled_ = 0; // of them, put into the ring
	uint32_t last_flow_in_ = ~0u, last_flow_out_ = ~0u, last_flow_served_ = ~0u;
	double report_clock_ = 0, report_busy_ = 0; // since the last load report
	uint32_t report_packets_ = 0;

	reframer_stage *stage_;
	std::vector<Note> notes_;       // by buffer
	std::vector<uint32_t> in_slot_; // by ring slot: the buffer that was filled there
	uint64_t noted_ = 0;            // packets taken from the ring whose notes say when
	PollMarker marker_;
	std::vector<Departure> departures_;
	OrderOfFlows order_;
	QueueResult result_;
};

} // namespace reframer::engine
