// Campus traffic: superposed segments of a trace with the published distributions.
//
// Connections arrive as a Poisson process; each has two flows, one a direction. A flow has a size
// (packets) and a mean gap, both drawn from the table of size bands; its packets come in trains:
// a gap is short (gap_bands, weights of CampusParams) or a pause, exponentially distributed with
// the mean that gives the flow its mean gap. The start is stationary: the connections that are
// alive at time 0 are drawn by their length, and are in the middle of their lives (no SYN is seen).
// More load is more connections; no flow gets faster (NSDI'22 superposes segments of one trace).
//
// Where the constants come from:
//  - sizes: the CDF of packets per flow of the Campus trace (CoNEXT'19 data), with a bounded Pareto
//    through its 99.9 % point (4,854 packets), its maximum (4,425,709) and the 73 % of packets that
//    the last 0.1 % of the flows carry (exponent 0.97). Its mean is 50 packets a flow; a window of
//    seconds, which cuts flows off, sees about 40, as in the Reframer runs;
//  - rates: 46 % of the packets belong to flow-seconds above 3,070 packets, evenly over the log of
//    the rate (same data), so flows above 4,854 packets have log-uniform rates from 500 packets/s
//    (at least size/55 s) up to CampusParams::fastest_pps; small ones live 5 ms..15 s (log-uniform),
//    which gives about twice as many active as new flows a second;
//  - gaps: such that SLF(T) behind an overloaded device like the published one (70 Gbps over 8 queues,
//    generator_overload.hpp) is that of the Reframer runs (NSDI'22 data, in-chain) within 5 %; job
//    `calibrate` repeats the comparison, and says what the fit reads where it was not fitted;
//  - frame lengths: the shape of the Campus trace, moved to the mean of 1087 bytes at 70 Gbps.
#pragma once

#include "traffic/campus_params.hpp"
#include "traffic/generator_packet.hpp"
#include "traffic/generator_random.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace reframer::traffic {

struct SizeBand {
	uint32_t size_low, size_high;     // packets of the larger direction, [low, high), log-uniform
	uint32_t share;                   // connections, of 10^9
	uint64_t gap_low_ns, gap_high_ns; // mean gap, log-uniform
};
std::span<const SizeBand> campus_size_bands();
// Packets of the smaller direction: equal for short connections, a third of what exceeds 31 packets
// (acknowledgements of three segments each).
uint32_t campus_reverse_size(uint32_t size);

inline constexpr uint32_t campus_mean_frame = 1087; // bytes, at 70 Gbps

class Campus {
public:
	Campus(const CampusParams &params, uint64_t rate_bps, uint64_t seed, uint32_t salt,
	       uint32_t queues, uint32_t queue);
	size_t read(PacketMeta *out, size_t room);
	size_t flows_alive() const { return flows_.size() - free_.size(); }

private:
	enum Role : uint8_t {
		role_started = 1, // its first packet has left: what comes is no SYN
		role_acks = 2,    // the direction that mostly acknowledges
		role_small = 4,   // too few packets for a bulk transfer
		role_single = 8,  // a question or its answer
	};

	struct alignas(64) Flow {
		uint64_t time_ns; // of its next packet
		Random random;
		uint32_t flow, hash;
		uint32_t seq, ack;
		uint32_t remaining;  // packets, the next one included
		uint32_t pause_ns16; // mean pause in 16 ns: up to 68 s
		uint16_t pauses;     // gaps that are pauses, of 65536
		uint16_t scale;      // of short gaps, of 1024
		uint16_t full;       // frame length of a full segment
		uint8_t kind, role;
	};
	static_assert(sizeof(Flow) == 64, "one cache line");

	// Flows by the time of their next packet, 1024 ns a slot for the epoch that is being played
	// (2^24 ns), one slot an epoch for what comes later. Lists of chunks, so that the flows of a
	// coming slot are known, and fetched, without following a chain through them.
	struct Chunk {
		uint32_t next, count;
		uint32_t item[14];
	};
	static_assert(sizeof(Chunk) == 64, "one cache line");
	struct Due {
		uint64_t time_ns;
		uint32_t flow, index;
		bool operator<(const Due &other) const
		{
			return time_ns != other.time_ns ? time_ns < other.time_ns : flow < other.flow;
		}
	};

	void build_tables();
	void start_stationary();
	void add_connection(uint64_t now, const SizeBand *alive);
	void set_pace(Flow &flow, uint64_t mean_gap_ns) const;
	uint64_t residual_gap(const Flow &flow, Random &random) const;
	void add_flow(Flow flow);
	uint64_t next_gap(const Flow &flow, uint64_t random) const;
	void emit(Flow &flow, uint64_t random, PacketMeta &out) const;
	static bool pauses_next(const Flow &flow, uint64_t random)
	{
		return (random & 0xffff) < flow.pauses;
	}
	void next_slot();
	void schedule(uint32_t index, uint64_t time_ns);
	void push(uint32_t &list, uint32_t index);
	template <typename Visit> void take(uint32_t &list, Visit visit);
	void prefetch(uint64_t slot) const;
	void insert_due(const Due &due);

	CampusParams params_;
	uint64_t seed_;
	uint32_t salt_, queues_, queue_;
	uint32_t short_share_ = 0; // of 65536
	uint64_t short_mean_ns_ = 0;
	std::array<uint32_t, 1025> short_gap_{}; // quantiles in ns
	std::array<uint32_t, 1025> pause_{};     // quantiles, mean 2^24
	Random arrivals_;
	uint64_t arrival_mean_q16_ = 0; // ns between connections, times 2^16
	uint64_t next_arrival_ns_ = 0;
	uint32_t nb_connections_ = 0;
	std::vector<Flow> flows_;
	std::vector<uint32_t> free_;
	std::vector<Chunk> chunks_;
	std::vector<uint32_t> free_chunks_;
	std::vector<uint32_t> near_, far_; // heads of lists, 0 is none
	uint64_t slot_ = 0;                // time / 1024 of the slot being played
	std::vector<Due> due_;
	size_t due_head_ = 0;
};

} // namespace reframer::traffic
