// A box between ports: each RX queue is a lane that leads to the TX queue of the same number on the
// other port. Nothing is dropped here: a full TX queue is waited for, and what comes meanwhile is
// the receive ring's.
#pragma once

#include "dpdk/clock.hpp"
#include "dpdk/pollers.hpp"
#include "reframer/dpdk.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

struct rte_mempool;

namespace reframer::dpdk {

// No link carries more in one frame: 9216 bytes, the usual limit of switches, and the Ethernet header
// with two VLAN tags. What is longer was joined by a host's segmentation offload (TSO, GRO).
constexpr uint32_t longest_frame = 9216 + 22;

struct ForwardParams {
	std::string in, out; // EAL's names; may be the same port
	bool both_ways = false;
	uint32_t nb_queues = 1; // RX queues a port, and as many TX queues
	uint32_t nb_cores =
		0; // threads; lane i is served by thread i mod nb_cores. 0: one a given lcore, else one
	uint32_t nb_descriptors = 1024; // of a ring; what most drivers take
	uint32_t nb_buffers = 0; // of the pool; 0: as many as rings and holds may ever have in use
	bool reframe = true;     // false: forwarding alone, to compare with
	reframer_dpdk_params reframer = {};
	class BoxBalancer *balancer = nullptr; // null: what comes in goes out
};

class ForwardLanes {
public:
	// Configures and starts the ports, then the lanes, each thread on a CPU of its own.
	// @throws lab::JobError
	ForwardLanes(const ForwardParams &params, const PollerCpus &cpus);
	~ForwardLanes();

	struct Lane {
		uint16_t in, out, queue;
		reframer_dpdk_queue *reframer = nullptr;
		bool done = false;             // its thread's
		uint64_t taken_since_stop = 0; // its thread's
		std::atomic<uint64_t> received{0}, sent{0}, waits{0}, unsent{0};
		std::atomic<uint64_t> bytes_received{0}, bytes_sent{0};
		std::atomic<uint64_t> oversized{0};                  // frames longer than longest_frame
		std::atomic<uint64_t> work_polls{0}, work_cycles{0}; // polls that took or gave packets
	};
	const std::vector<std::unique_ptr<Lane>> &lanes() const { return all; }
	const std::vector<uint16_t> &ports() const { return used; }
	uint32_t nb_threads() const { return nb_pollers; }

	// Takes what waits in the receive rings, drains, sends, ends the threads.
	void stop();

private:
	void run(uint32_t core);
	struct Ends;
	template <typename Function> void serve(Lane &lane, Function &function);
	struct Balance;
	void serve(Lane &lane);
	static void count_arrivals(Lane &lane, struct rte_mbuf *const *packets, uint32_t nb);
	void send(Lane &lane, struct rte_mbuf **packets, uint32_t nb);

	const ForwardParams params;
	const TscClock clock;
	uint32_t nb_pollers = 0;
	std::vector<uint16_t> used;
	rte_mempool *pool = nullptr;
	std::vector<std::unique_ptr<Lane>> all;
	std::atomic<bool> stopping{false};
	std::atomic<uint64_t> give_up_at{UINT64_MAX}; // TSC
	std::vector<std::thread> threads;
};

} // namespace reframer::dpdk
