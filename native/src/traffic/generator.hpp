// Synthetic traffic: seeded, the same bytes on every machine.
//
// Profiles:
//  - uniform: every packet belongs to one of `flows` UDP flows drawn uniformly; the worst locality;
//  - clients: the generator of the paper's motivation (NSDI'22 section 2): every client has one UDP
//    flow; round robin over the clients, `interleave` packets a turn, so SLF = interleave;
//  - syn_flood: every packet is the SYN of another flow;
//  - elephant: nine packets in ten belong to one flow, the others are uniform;
//  - incast: all flows send `interleave` packets at once, at 100 Gbps together, then pause;
//  - campus: superposed segments of campus traffic (campus.hpp).
// Packets come as frames (Source), or as metadata for whoever fills buffers of its own.
#pragma once

#include "traffic/campus_params.hpp"
#include "traffic/generator_packet.hpp"
#include "traffic/generator_random.hpp"
#include "traffic/source.hpp"

#include <memory>
#include <stdexcept>
#include <vector>

namespace reframer::traffic {

enum class Profile : uint8_t { uniform, clients, campus, syn_flood, elephant, incast };

struct GeneratorParams {
	Profile profile = Profile::campus;
	uint64_t packets = 0; // 0: endless; clients: flows * packets_per_flow
	uint32_t flows =
		10000; // uniform, clients; campus has its own arrivals. As published: 10,000 clients
	uint32_t packets_per_flow = 400; // clients, as published; then the same flows start again
	uint32_t interleave = 1;      // clients: packets a turn, 1..packets_per_flow (published: 1..32)
	uint32_t frame_length = 1000; // uniform, clients: bytes without FCS, 60..9014; as published
	uint64_t rate_bps = 0;    // bits of frames a second; 0: 10 Gbps, campus: as its segments say.
							  // campus: more rate is more concurrent flows, not faster ones
	uint32_t snaplen = 65535; // read(): bytes of a frame that are materialised, at least 64
	uint64_t seed = 1;
	// Only flows whose hash falls to receive queue `queue` of `queues` are generated; they are the
	// same packets, at the same times, as in the full traffic. 1: everything. The queue is that of
	// an RSS table of 128 entries filled round robin.
	uint32_t queues = 1;
	uint32_t queue = 0;
	CampusParams campus;
};

class GeneratorError : public std::invalid_argument {
public:
	using std::invalid_argument::invalid_argument;
};

class Campus;

class Generator final : public Source {
public:
	// Throws GeneratorError where a parameter is out of range.
	explicit Generator(const GeneratorParams &params);
	~Generator() override;

	size_t read(packet::Frame *out, size_t room) override;
	// Packets without bytes, in order of time; 0 is the end.
	size_t read_meta(PacketMeta *out, size_t room);
	// Writes the first bytes of the frame; returns min(room, meta.length).
	size_t write(const PacketMeta &meta, uint8_t *out, size_t room) const
	{
		return write_frame(salt_, meta, out, room);
	}
	FlowTuple tuple(const PacketMeta &meta) const
	{
		return flow_tuple(salt_, meta.flow, meta.kind);
	}

	const GeneratorParams &params() const { return params_; }

private:
	size_t read_uniform(PacketMeta *out, size_t room);
	size_t read_clients(PacketMeta *out, size_t room);
	// generator_worst.cpp
	size_t read_syn_flood(PacketMeta *out, size_t room);
	size_t read_elephant(PacketMeta *out, size_t room);
	size_t read_incast(PacketMeta *out, size_t room);
	// One packet of a UDP flow, unless another queue has it.
	size_t put_udp(PacketMeta *out, uint64_t time, uint32_t flow, uint32_t number) const;
	bool mine(uint32_t hash) const;
	bool more() const { return params_.packets == 0 || produced_ < params_.packets; }
	uint64_t next_time();
	uint32_t hash_of(uint32_t flow, uint8_t kind) const
	{
		return flow_hash(flow_tuple(salt_, flow, kind));
	}

	GeneratorParams params_;
	uint32_t salt_;
	Random random_;
	uint64_t produced_ = 0;
	// Constant rate: a packet takes whole_ns_ + fraction / denominator nanoseconds.
	uint64_t time_ns_ = 0, step_ns_, step_rest_, rest_ = 0;
	uint32_t client_ = 0, turn_ = 0, round_ = 0;
	uint64_t replay_ = 0;
	std::unique_ptr<Campus> campus_;
	std::vector<uint8_t> buffer_;
	std::vector<PacketMeta> meta_;
};

} // namespace reframer::traffic
