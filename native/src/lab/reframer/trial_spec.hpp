// What a trial is asked to do; the JSON form is described at the top of trial.cpp.
#pragma once

#include "lab/cores.hpp"
#include "nf/config.hpp"
#include "reframer/reframer.h"
#include "traffic/generator.hpp"

#include <cstdint>
#include <string>

namespace reframer::lab {

enum class HoldPolicy : uint8_t { off, burst, fixed, adaptive };
enum class Engine : uint8_t { on_virtual_clock, threads };

struct SourceSpec {
	traffic::Profile profile = traffic::Profile::campus; // of the generator
	std::string file;
	bool scaled = false; // captures: stretch the capture's own gaps instead of a constant bit rate
	Json generator = Json::object(); // further members, for the generator
	Json understood;                 // what is said of it in the record
};

struct TrialSpec {
	Engine engine = Engine::on_virtual_clock;
	nf::ChainKind chain;
	nf::Form form = nf::Form::packet;
	bool look_ahead = true; // functions prefetch the state of coming packets or runs
	uint32_t rules, packet_rules = nf::Config().nb_packet_rules;
	double deny_share = 0;
	uint32_t table_flows;
	HoldPolicy policy = HoldPolicy::off;
	uint64_t delay_ns = 64000;
	uint32_t key = REFRAMER_KEY_5TUPLE;
	bool nic_hash;
	uint32_t early, bypass; // bits of enum reframer_early and reframer_bypass
	bool ack_thinning = false;
	uint8_t sensitive = 0;        // IP protocol whose latency is given apart; 0: none
	bool sensitive_passes = true; // and which does not wait
	uint32_t front_cores = 0;     // cores that do nothing but Reframer; 0: the chain's own
	uint32_t max_held = 4096;
	SourceSpec source;
	double offered_bps = 70e9;
	double offered_pps = 0; // 0: offered_bps counts
	// Of what the chain carries alone when offered_bps come; 0: offered_bps counts.
	double offered_share = 0;
	uint32_t queues = 8;
	uint32_t ring_depth = 256;
	uint32_t burst = 32;
	uint32_t release_max = 0;
	uint64_t duration_ns = 20'000'000, warmup_ns = 5'000'000, learn_ns = 50'000'000;
	uint64_t service_ns = 0; // 0: time is taken from the TSC
	uint64_t service_run_ns = 0;
	uint64_t seed = 1;
	bool raw = false, stand_twice = false;
	TrialCores cores;
	std::string dump_file;
	uint64_t dump_packets;
	Json understood; // as it was read, every default filled in
};

// Throws JobError("bad-spec").
TrialSpec parse_trial_spec(const Json &spec);
// Flows that the tables of a queue have room for: the original's 2 M over all cores.
uint32_t table_capacity(uint32_t queues);
// The specification as understood, every default filled in, with what was left to the machine.
Json describe(const TrialSpec &spec);

} // namespace reframer::lab
