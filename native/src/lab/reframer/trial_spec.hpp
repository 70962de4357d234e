// What a trial is asked to do; the JSON form is described at the top of trial.cpp.
#pragma once

#include "datapath/ports/dma.hpp"
#include "jobs/job.hpp"
#include "nf/config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace reframer::lab {

enum class HoldPolicy : uint8_t { off, burst, fixed, adaptive };
enum class Engine : uint8_t { on_virtual_clock, threads };

struct SourceSpec {
	std::string profile; // generator profile; empty where `file` is given
	std::string file;
	bool scaled = false; // captures: stretch the capture's own gaps instead of a constant bit rate
	Json generator = Json::object(); // further members, for the generator
};

struct TrialSpec {
	Engine engine;
	nf::ChainKind chain;
	nf::Form form;
	bool look_ahead; // functions prefetch the state of coming packets or runs
	uint32_t rules, packet_rules;
	double deny_share;
	uint32_t table_flows;
	HoldPolicy policy;
	uint64_t delay_ns;
	uint32_t key; // enum reframer_key
	bool nic_hash;
	uint32_t early, bypass; // bits of enum reframer_early and reframer_bypass
	bool ack_thinning;
	uint8_t sensitive;     // IP protocol whose latency is given apart; 0: none
	bool sensitive_passes; // and which does not wait
	uint32_t front_cores;  // cores that do nothing but Reframer; 0: the chain's own
	uint32_t max_held;
	SourceSpec source;
	double offered_bps;
	double offered_pps; // 0: offered_bps counts
	double
		offered_share; // of what the chain carries alone when offered_bps come; 0: offered_bps counts
	uint32_t queues;
	uint32_t ring_depth;
	uint32_t burst;
	uint32_t release_max;
	engine::Dma::Into dma;
	bool dma_asked; // not the default
	uint64_t duration_ns, warmup_ns, learn_ns;
	uint64_t service_ns; // 0: time is taken from the TSC
	uint64_t service_run_ns;
	uint64_t seed;
	bool raw, stand_twice;
	std::vector<int> cpus; // the core under test, then the one that stands in for DMA
	std::string dump_file;
	uint64_t dump_packets;
};

// Throws JobError("bad-spec").
TrialSpec parse_trial_spec(const Json &spec);
// Flows that the tables of a queue have room for: the original's 2 M over all cores.
uint32_t table_capacity(uint32_t queues);
// The specification as understood, every default filled in.
Json describe(const TrialSpec &spec);

} // namespace reframer::lab
