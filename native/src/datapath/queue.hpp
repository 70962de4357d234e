// What the engines share: packets that arrive at an RX queue, what is asked of the queue, and what
// came of it.
#pragma once

#include "measure/absences.hpp"
#include "measure/histogram.hpp"

#include <cstdint>

namespace reframer::engine {

struct Arrival {
	uint64_t time_ns;    // on the queue's clock
	const uint8_t *data; // stays readable until the queue has run past time_ns
	uint32_t captured, wire;
	uint32_t rss;
	uint32_t flow; // number of the packet's flow, for the checks; not shown to the program
	uint64_t origin_ns =
		0; // latency counts from here where another core had the packet before; 0: time_ns
};

struct QueueConfig {
	uint32_t ring_depth = 256;
	uint32_t burst = 32;
	uint32_t max_held = 4096; // of the stage: sizes the pool
	uint32_t release_max = 0; // packets that a poll takes out of the stage; 0: all that are due
	bool report_load = false; // tell the stage about the load after each poll (adaptive)
	bool thins = false;       // the stage takes out ACKs
	uint8_t sensitive_protocol = 0; // IP protocol whose latency is also counted apart; 0: none
	bool look_ahead = true;         // ask for the header of a packet that goes on hold
	bool nic_hash = true;           // the stage is given the RSS hash
	bool reads_headers =
		true; // the stage may look at headers; false: with the RSS hash alone it must not
	double service_ns = 0;      // fixed cost of a packet instead of the measured one; 0: measured
	double service_run_ns = 0;  // with it: what a packet costs more that another flow's precedes
	double worst_packet_ns = 0; // a packet that misses every cache of one entry; for PollMarker
	bool keep_marked = false;   // leave marked polls in the clock
	bool stand_twice = false;   // between polls, wait as long again as the NIC's side takes
	double start_ns = 0;        // of the clock
	double window_start_ns = 0, window_end_ns = 0; // what is measured
	double tsc_hz = 1e9;
	uint32_t watched_flows = 0; // flows below this number have a histogram of their own
};

struct QueueResult {
	// The whole trial.
	uint64_t arrived = 0, departed = 0, nf_dropped = 0, ring_dropped = 0;
	uint64_t thinned = 0;   // ACKs that the stage took out
	uint64_t held = 0;      // in ring or stage
	uint64_t reordered = 0; // packets that left behind a later one of their flow
	uint64_t polls = 0;
	double total_ns = 0;   // taken by all polls, as read from the TSC
	Absences absences;     // polls that took longer than their like, see marks.hpp
	double starved_ns = 0; // threads: in the window, without work while the NIC's core was away

	// The window.
	uint64_t offered_packets = 0, offered_bits = 0, window_ring_dropped = 0;
	uint64_t departed_packets = 0, departed_bits = 0, window_nf_dropped = 0;
	uint64_t busy_polls = 0, empty_polls = 0, polled = 0, processed = 0;
	double busy_ns = 0, stage_ns = 0, chain_ns = 0;
	uint64_t packets_in = 0, runs_in = 0, packets_out = 0, runs_out = 0;
	Histogram latency;
	// Virtual clock only: time in the stage, from the poll that takes a packet from the ring to the one
	// that releases it, and latency without it: queue and processing.
	Histogram hold, own_latency;
	Histogram watched_latency, watched_own_latency; // of config.watched_flows
	uint64_t watched_ring_dropped = 0;
	Histogram sensitive_latency; // of packets of config.sensitive_protocol

	// What another queue of the same trial had. Not that of watched flows.
	void add(const QueueResult &r)
	{
		using Q = QueueResult;
		for (auto count : {&Q::arrived,
		                   &Q::departed,
		                   &Q::nf_dropped,
		                   &Q::ring_dropped,
		                   &Q::thinned,
		                   &Q::held,
		                   &Q::reordered,
		                   &Q::polls,
		                   &Q::offered_packets,
		                   &Q::offered_bits,
		                   &Q::window_ring_dropped,
		                   &Q::departed_packets,
		                   &Q::departed_bits,
		                   &Q::window_nf_dropped,
		                   &Q::busy_polls,
		                   &Q::empty_polls,
		                   &Q::polled,
		                   &Q::processed,
		                   &Q::packets_in,
		                   &Q::runs_in,
		                   &Q::packets_out,
		                   &Q::runs_out})
			this->*count += r.*count;
		for (auto time : {&Q::total_ns, &Q::starved_ns, &Q::busy_ns, &Q::stage_ns, &Q::chain_ns})
			this->*time += r.*time;
		for (auto histogram : {&Q::latency, &Q::own_latency, &Q::sensitive_latency})
			(this->*histogram).merge(r.*histogram);
		absences.merge(r.absences);
	}
};

} // namespace reframer::engine
