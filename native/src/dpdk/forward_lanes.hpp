// A box between ports: each RX queue is a lane that leads to the TX queue of the same number on the
// other port. Nothing is dropped here: a full TX queue is waited for, and what comes meanwhile is
// the receive ring's.
#pragma once

#include "reframer/dpdk.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

struct rte_mempool;

namespace reframer::dpdk {

struct ForwardParams {
	std::string in, out;         // EAL's names; may be the same port
	bool both_ways = false;
	uint32_t nb_queues = 1;      // RX queues a port, and as many TX queues
	uint32_t nb_cores = 1;       // threads; lane i is served by thread i mod nb_cores
	uint32_t nb_descriptors = 1024; // of a ring; what most drivers take
	uint32_t nb_buffers = 0;     // of the pool; 0: as many as rings and holds may ever have in use
	bool reframe = true;         // false: forwarding alone, to compare with
	reframer_dpdk_params reframer = {};
};

class ForwardLanes {
public:
	// Configures and starts the ports, then the lanes. @throws lab::JobError
	explicit ForwardLanes(const ForwardParams &params);
	~ForwardLanes();

	struct Lane {
		uint16_t in, out, queue;
		reframer_dpdk_queue *reframer = nullptr;
		bool done = false;               // its thread's
		uint64_t taken_since_stop = 0;   // its thread's
		std::atomic<uint64_t> received{0}, sent{0}, waits{0}, unsent{0};
	};
	const std::vector<std::unique_ptr<Lane>> &lanes() const { return all; }
	const std::vector<uint16_t> &ports() const { return used; }

	// Takes what waits in the receive rings, drains, sends, ends the threads.
	void stop();

private:
	uint32_t threads_wanted() const { return params.nb_cores < all.size() ? params.nb_cores : uint32_t(all.size()); }
	void run(uint32_t core);
	void serve(Lane &lane);
	void send(Lane &lane, struct rte_mbuf **packets, uint32_t nb);

	const ForwardParams params;
	std::vector<uint16_t> used;
	rte_mempool *pool = nullptr;
	std::vector<std::unique_ptr<Lane>> all;
	std::atomic<bool> stopping{false};
	std::atomic<uint64_t> give_up_at{UINT64_MAX}; // TSC
	std::vector<std::thread> threads;
};

} // namespace reframer::dpdk
