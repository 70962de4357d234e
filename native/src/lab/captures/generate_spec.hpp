// The generator's options as they stand in a job's specification.
#pragma once

#include "jobs/spec_reader.hpp"
#include "traffic/generator.hpp"

namespace reframer::lab {

// What a generator made.
struct TrafficTotals {
	uint64_t packets = 0, bytes = 0, flows = 0, last_ns = 0;

	void add(const traffic::PacketMeta &packet)
	{
		packets++;
		bytes += packet.length;
		last_ns = packet.time_ns;
		if (seen_.size() <= packet.flow)
			seen_.resize(packet.flow * size_t{2} + 1);
		flows += !seen_[packet.flow];
		seen_[packet.flow] = true;
	}
	void begin_anew() { seen_.clear(); } // flows have other numbers from here on

private:
	std::vector<bool> seen_;
};

// Reads these members (all optional) and leaves the rest to the caller:
//   profile        "campus" (default) | "clients" | "uniform"
//   packets        how many; default 1,000,000 (clients: flows * packetsPerFlow)
//   seed           default 1
//   flows          uniform, clients: default 10000; not with campus, whose flows come and go
//   packetsPerFlow, interleave   clients: defaults 400 and 1
//   frameLength    uniform, clients: bytes without FCS, default 1000
//   rateBps        bits of frames a second, default 10e9; campus: 70e9 (more rate, more flows)
//   segments       campus: superposed trace segments of 2.33 Gbps, instead of rateBps
//   snaplen        bytes of a frame that are written, default 65535
// Throws JobError("bad-spec").
traffic::GeneratorParams read_generator_params(SpecReader &reader);

} // namespace reframer::lab
