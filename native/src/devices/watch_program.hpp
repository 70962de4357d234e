// An XDP program that counts what comes to an interface, and its locality: by receive queue, since
// each queue is what one core sees. It passes every frame on.
#pragma once

#include "devices/bpf.hpp"
#include "packet/toeplitz.hpp"

#include <cstdint>

namespace reframer::engine {

inline constexpr uint32_t watch_nb_buckets = 128, watch_nb_delays = 3, watch_nb_reuse = 3;
inline constexpr uint32_t watch_delays_ns[watch_nb_delays] = {16'000, 64'000, 128'000};
inline constexpr uint32_t watch_reuse_distances[watch_nb_reuse] = {4, 16, 64};
inline constexpr uint32_t watch_rank_bits = 11, watch_group_bits = 14;

// Flows that share a group are one to `deadline` and `last_packet`: in 64 packets in a row of as many
// flows, 2 in 1,000 meet another's.
struct WatchGroup {
	uint64_t deadline[watch_nb_delays];
	uint64_t last_packet; // counted from 1; 0: none
};

// One a queue; only the queue's core writes it.
struct WatchState {
	uint64_t packets, bytes;
	uint64_t tcp, udp, icmp, other, not_ip;
	uint64_t syn, syn_ack, fin, rst; // tcp.syn: without ACK
	uint64_t runs, last_flow;
	uint64_t reused[watch_nb_reuse]; // flow was seen within that many packets
	// What Reframer would give out at each T: runs, and the flow of the group that was opened last.
	uint64_t held_runs[watch_nb_delays], opened[watch_nb_delays];
	uint64_t buckets[watch_nb_buckets];  // by Toeplitz hash
	uint8_t ranks[1 << watch_rank_bits]; // HyperLogLog of flows
	WatchGroup groups[1 << watch_group_bits];
};

struct WatchMaps {
	int toeplitz;
	int states;
	uint32_t nb_states; // power of two
	bool by_cpu;        // not by queue: where several cores may serve one, each has a state
};

// Directional 5-tuples, through two VLAN tags and IPv6 extension headers; fragments by their
// addresses; what is not IP by MAC addresses and EtherType.
FileDescriptor watch_program(const WatchMaps &maps); // @throws DeviceError

} // namespace reframer::engine
