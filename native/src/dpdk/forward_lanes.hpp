// A box between ports: each RX queue is a lane that leads to the TX queue of the same number on the
// other port. Nothing is dropped here but by a function that is told to: a full TX queue is waited for,
// and what comes meanwhile is the receive ring's. With RSS++, a flow table or functions, each core is
// a lane that serves queues of both ports; see suite/suite_core.hpp.
#pragma once

#include "dpdk/clock.hpp"
#include "dpdk/lane.hpp"
#include "dpdk/pollers.hpp"
#include "dpdk/ports.hpp"
#include "dpdk/suite/suite.hpp"
#include "reframer/dpdk.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct rte_mempool;

namespace reframer::dpdk {

struct ForwardParams {
	std::string in, out; // EAL's names; may be the same port
	bool both_ways = false;
	uint32_t nb_queues = 1;    // RX queues a port
	uint32_t nb_tx_queues = 0; // of a port with RSS++, flows or functions; 0: as many as RX queues
	uint32_t nb_cores =
		0; // threads; lane i is served by thread i mod nb_cores. 0: one a given lcore, else one
	uint32_t nb_descriptors = 1024; // of a ring; what most drivers take
	uint32_t nb_buffers = 0; // of the pool; 0: as many as rings and holds may ever have in use
	bool reframe = true;     // false: forwarding alone, to compare with
	reframer_dpdk_params reframer = {};
	PortWish port;
	SuiteParams suite;
	class BoxBalancer *balancer = nullptr; // null: what comes in goes out
};

class ForwardLanes {
public:
	// Configures and starts the ports, then the lanes, each thread on a CPU of its own.
	// @throws lab::JobError
	ForwardLanes(const ForwardParams &params, const PollerCpus &cpus);
	~ForwardLanes();
	ForwardLanes(const ForwardLanes &) = delete;
	ForwardLanes &operator=(const ForwardLanes &) = delete;

	const std::vector<std::unique_ptr<Lane>> &lanes() const { return all; }
	const std::vector<uint16_t> &ports() const { return used; }
	const std::vector<PortGrant> &grants() const { return granted; }
	uint32_t nb_threads() const { return nb_pollers; }
	const Suite *suite() const { return together.get(); }

	// Takes what waits in the receive rings, drains, sends, ends the threads.
	void stop();

private:
	explicit ForwardLanes(const ForwardParams &params);
	void start_ports(uint32_t nb_lanes);
	uint32_t nb_tx_queues() const;
	void add_lane(uint16_t from, uint16_t to, uint16_t queue, uint32_t nb_lanes);
	void run(uint32_t core);
	void run_suite(uint32_t core);
	struct Ends;
	template <typename Function> void serve(Lane &lane, Function &function);
	struct Balance;
	void serve(Lane &lane);

	const ForwardParams params;
	const TscClock clock;
	uint32_t nb_pollers = 0;
	std::vector<uint16_t> used;
	std::vector<PortGrant> granted;
	rte_mempool *pool = nullptr;
	uint32_t nb_buffers = 0;
	bool symmetric = false; // the ports hash both directions of a flow alike
	std::vector<std::unique_ptr<Lane>> all;
	std::unique_ptr<Suite> together;
	std::atomic<bool> stopping{false};
	Sender sender;
	std::vector<Poller> pollers;
};

} // namespace reframer::dpdk
