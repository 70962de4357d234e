// What a polling core of the box counts, and how it sends.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

struct rte_mbuf;
struct reframer_dpdk_queue;

namespace reframer::dpdk {

// No link carries more in one frame: 9216 bytes, the usual limit of switches, and the Ethernet header
// with two VLAN tags. What is longer was joined by a host's segmentation offload (TSO, GRO).
constexpr uint32_t longest_frame = 9216 + 22;

struct Lane {
	uint16_t in = 0, out = 0, queue = 0; // of transmission, too
	reframer_dpdk_queue *reframer = nullptr;
	bool done = false;             // its thread's
	uint64_t taken_since_stop = 0; // its thread's
	std::atomic<uint64_t> received{0}, sent{0}, waits{0}, unsent{0};
	std::atomic<uint64_t> bytes_received{0}, bytes_sent{0};
	std::atomic<uint64_t> oversized{0};                  // frames longer than longest_frame
	std::atomic<uint64_t> work_polls{0}, work_cycles{0}; // polls that took or gave packets
};

void count_arrivals(Lane &lane, rte_mbuf *const *packets, uint32_t nb);

// A full TX queue is waited for; at the end for a second, see give_up_at. Cores that have a queue in
// common take turns.
class Sender {
public:
	void send(Lane &lane, uint16_t out, rte_mbuf **packets, uint32_t nb);
	// Waits until the port has sent what was handed to it on this queue, where its driver can tell, and
	// not for long: what another core sends afterwards is behind it on the wire, too.
	void drain(const Lane &lane, uint16_t out) const;

	bool shares_queues = false;
	std::atomic<uint64_t> give_up_at{UINT64_MAX}; // TSC
	// What a core does beside sending, and must not leave undone while its port takes nothing: that may
	// be for ever. May be empty.
	std::function<void()> while_waiting;

private:
	static constexpr uint32_t most_ports = 32, most_queues = 64; // RTE_MAX_ETHPORTS; ours
	std::atomic_flag busy[most_ports][most_queues] = {};
};

} // namespace reframer::dpdk
