// One RX queue of the virtual NIC and the core that polls it, on a clock of their own.
//
// Packets arrive by the clock into a ring; a full ring drops. The loop under test is the real one:
// take up to a burst from the ring, the reframing stage, the chain, transmit. What each poll takes
// by the TSC, and nothing else, advances the clock; without work the clock jumps, in steps of an
// empty poll, to what comes next. Frames are put into buffers outside of the timed part.
#pragma once

#include "engine/dma.hpp"
#include "engine/histogram.hpp"
#include "engine/marks.hpp"
#include "nf/chain.hpp"
#include "nf/memory.hpp"
#include "reframer/reframer.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace reframer::engine {

struct Arrival {
	uint64_t time_ns;    // on the queue's clock
	const uint8_t *data; // stays readable until the queue has run past time_ns
	uint32_t captured, wire;
	uint32_t rss;
	uint32_t flow;       // number of the packet's flow, for the checks; not shown to the program
	uint64_t origin_ns = 0; // latency counts from here where another core had the packet before; 0: time_ns
};

struct QueueConfig {
	uint32_t ring_depth = 256;
	uint32_t burst = 32;
	uint32_t max_held = 4096;       // of the stage: sizes the pool
	uint32_t release_max = 0;       // packets that a poll takes out of the stage; 0: all that are due
	bool report_load = false;       // tell the stage about the load after each poll (adaptive)
	bool thins = false;             // the stage takes out ACKs
	uint8_t sensitive_protocol = 0; // IP protocol whose latency is also counted apart; 0: none
	bool look_ahead = true;         // ask for the header of a packet that goes on hold
	bool nic_hash = true;           // the stage is given the RSS hash
	double service_ns = 0;          // fixed cost of a packet instead of the measured one; 0: measured
	double worst_packet_ns = 0;     // a packet that misses every cache of one entry; for PollMarker
	bool keep_marked = false;       // leave marked polls in the clock
	double start_ns = 0;            // of the clock
	double window_start_ns = 0, window_end_ns = 0; // what is measured
	double tsc_hz = 1e9;
	uint32_t watched_flows = 0;     // flows below this number have a histogram of their own
};

struct QueueResult {
	// The whole trial.
	uint64_t arrived = 0, departed = 0, nf_dropped = 0, ring_dropped = 0;
	uint64_t thinned = 0;           // ACKs that the stage took out
	uint64_t held = 0;              // in ring or stage
	uint64_t reordered = 0;         // packets that left behind a later one of their flow
	uint64_t polls = 0, interrupted = 0, preempted = 0; // the latter two are marked, see marks.hpp
	double interrupted_ns = 0, preempted_ns = 0;        // taken by them
	double total_ns = 0;            // taken by all polls, as read from the TSC

	// The window.
	uint64_t offered_packets = 0, offered_bits = 0, window_ring_dropped = 0;
	uint64_t departed_packets = 0, departed_bits = 0, window_nf_dropped = 0;
	uint64_t busy_polls = 0, empty_polls = 0, polled = 0, processed = 0;
	double busy_ns = 0, stage_ns = 0, chain_ns = 0;
	uint64_t packets_in = 0, runs_in = 0, packets_out = 0, runs_out = 0;
	Histogram latency;
	Histogram watched_latency;      // of config.watched_flows
	uint64_t watched_ring_dropped = 0;
	Histogram sensitive_latency;    // of packets of config.sensitive_protocol
};

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
	bool huge_pages() const { return pool_.huge(); }

	// Called with every frame that departs, outside of the timed part; it must not change it.
	std::function<void(const nf::Mbuf &, double time_ns)> on_departure;
	// The same, for a core that takes the packets on: with the time that latency counts from.
	std::function<void(const nf::Mbuf &, double time_ns, uint64_t origin_ns, uint32_t flow)> on_hand_over;

private:
	struct Note { // what the checks know of the packet in a buffer
		uint64_t time_ns;
		uint64_t number;
		uint32_t flow;
	};
	struct Departure {
		uint64_t number;
		uint32_t flow;
	};

	nf::Mbuf *buffer(size_t i)
	{
		return reinterpret_cast<nf::Mbuf *>(pool_.data() + i * nf::Mbuf::stride);
	}
	void admit(std::span<const Arrival> arrivals);
	void poll(bool draining);
	uint32_t receive();
	uint32_t stage_burst(uint32_t received, uint64_t now, bool draining, uint32_t &nb_runs);
	void account(uint32_t received, uint32_t kept, uint32_t dropped, double start);
	void check_order();
	double measure_empty_poll();
	double charge(uint32_t received, uint32_t processed, double ns);
	bool in_window(double t) const
	{
		return t >= config_.window_start_ns && t < config_.window_end_ns;
	}

	QueueConfig config_;
	reframer_stage *stage_;
	nf::Chain &chain_;
	Dma &dma_;

	double clock_ = 0;
	double ns_per_tick_;
	double empty_poll_ns_ = 0;
	size_t next_ = 0;               // arrival that has not come yet
	uint64_t number_ = 0;           // arrivals so far
	uint64_t in_stage_ = 0;
	uint32_t head_ = 0, count_ = 0; // of the ring
	uint32_t last_flow_in_ = ~0u, last_flow_out_ = ~0u;
	double report_clock_ = 0, report_busy_ = 0; // since the last load report
	uint32_t report_packets_ = 0;

	nf::Region<uint8_t> pool_;
	nf::Region<Descriptor> ring_;
	nf::Region<nf::Mbuf *> posted_; // buffer of each ring slot
	std::vector<nf::Mbuf *> free_;  // last in, first out, as a mempool's cache
	std::vector<Note> notes_;
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

	PollMarker marker_;
	std::vector<Departure> departures_;
	std::vector<uint64_t> last_of_flow_; // number + 1
	QueueResult result_;
};

} // namespace reframer::engine
