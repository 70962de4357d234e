// Trial of a balancing method on a virtual multi-queue port; see rsspp/trial.cpp for the fields.
#pragma once

#include "reframer/rsspp.h"

#include <cstdint>
#include <string>
#include <vector>

namespace reframer::lab {

// Fixed, drawn from an exponential distribution, or from what a chain took on this machine.
enum class Service { fixed, drawn, measured };

struct RssppTrial {
	std::string profile = "campus4";
	std::string method = "ours";
	uint64_t seed = 1;
	uint32_t cores = 4;
	uint32_t entries = 512;
	uint32_t ring_depth = 4096;
	double load = 0.8; // mean load of a core at the mean rate; gives the service time
	bool exact_load =
		false;             // load at the rate that really comes while measuring, not the profile's
	double service_ns = 0; // instead of load
	Service service = Service::fixed; // all with the same mean
	double seconds = 10;
	double warmup_seconds = 2;
	// The window begins when the number of cores has stood still for so long; until then the warm-up
	// is made longer, by a few seconds each time, up to warmup_limit_seconds. 0: it begins anyway.
	double still_seconds = 0;
	double warmup_limit_seconds = 90;
	uint32_t interval_ms = 100;
	uint32_t overload_interval_ms =
		0;              // instead, within a second of a core above 0.9; 0: no difference
	bool passes = true; // losing cores take their ring out at once; otherwise they serve it first
	// How long a move waits for its losing core to prepare it; 0: not at all. It shortens holds, but a core
	// that is overloaded gets relief that much later: up to 12 ms, for what it has inside comes first.
	double prepare_ms = 0;
	// Packets that a core serves in a poll while buckets move: fewer shorten holds.
	uint32_t moving_burst = 32;
	// Of one packet in such a pass: receiving and sorting it, without service.
	double absorb_ns = 25;
	bool autoscale = false;
	bool paper_scaling = false; // add and give back cores by the rule of the RSS++ authors
	double target_load = 0.8;
	double moves_per_second = 0; // besides the method's: random moves, to load the hand-over
	// Of the dispatching core, for methods with one. 400 cycles at 3.7 GHz: what the published
	// throughput of software dispatch (20 Gbps of 1 KB frames at 1 GHz) leaves for a packet.
	double dispatch_ns = 108;
	double write_us = 0;       // until the table is written
	bool write_pauses = false; // nothing is received meanwhile; otherwise entries change one by one
	double path_us = 0;        // added to every latency: wire and tester
	double ramp_low = 1;
	double ramp_period_seconds = 0;
};

struct RssppTrialResult {
	uint64_t offered, processed, dropped, in_flight, reordered, moves, epochs, reversals;
	uint64_t lost_to_writes; // of the dropped
	int64_t lost;            // offered - served - dropped - in flight, over the whole run: 0
	double seconds, service_ns, offered_pps, goodput_pps, mean_load;
	double latency_p50_us, latency_p95_us, latency_p99_us, latency_p999_us, latency_mean_us;
	double warmed_seconds, still_seconds; // before the window; of these, without a change of cores
	// Longest hold; the same without the service of its bucket's earlier packets.
	double hold_max_us, hold_beyond_us;
	double imbalance_percent, floor_percent, solve_us, mean_cores;
	uint64_t held, forwarded, held_max, handed_over;
	std::vector<double> cores_by_second, drops_by_second, imbalance_by_second, floor_by_second;
};

RssppTrialResult run_rsspp_trial(const RssppTrial &trial);

} // namespace reframer::lab
