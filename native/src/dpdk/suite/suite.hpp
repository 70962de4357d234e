// All that the box can do beside holding packets, put together for its ports and cores.
#pragma once

#include "dpdk/suite/balancing.hpp"
#include "dpdk/suite/suite_core.hpp"

#include <memory>
#include <string>
#include <vector>

namespace reframer::lab {
class SpecReader;
}

namespace reframer::dpdk {

struct SuiteParams {
	bool balance = false, track = false;
	bool automatic = false; // of `table`: what the port has
	BalanceTable table = BalanceTable::none;
	uint32_t nb_buckets = 512; // of the software's table
	uint32_t work_rounds = 0;  // of arithmetic a packet, in place of functions
	BalancingParams balancing;
	FlowWorkConfig flows;

	bool any() const { return balance || track || work_rounds || !flows.chain.empty(); }
	// "balance", "buckets", "balanceMs", "autoscale", "method", "shuffle", "work", "track", "chain",
	// "rules", "natAddress", "natAddresses", "flows", "flowTimeoutMs".
	void read(lab::SpecReader &in);
};

struct SuitePorts {
	uint16_t in, out;
	bool both_ways;
	uint32_t nb_queues;
	uint32_t reta_size;        // of `in`
	std::string driver;        // of `in`
	bool port_hash;            // both ports hash addresses and ports by the symmetric key
	uint32_t ring_size = 4096; // between cores
	uint32_t nb_buffers;
};

class Suite {
public:
	// One lane a core. @throws lab::JobError
	Suite(const SuiteParams &params, const SuitePorts &ports, Sender &sender, const TscClock &clock,
	      const std::vector<std::unique_ptr<Lane>> &lanes);

	SuiteCore &core(size_t i) { return *cores_[i]; }
	void start();
	// Before the cores are told to end.
	void stop_balancing();
	lab::Json sample() const;

private:
	lab::Json flow_sample() const;

	const SuiteParams params_;
	SuiteShared shared_;
	std::vector<std::unique_ptr<SuiteCore>> cores_;
	std::unique_ptr<Balancing> balancing_;
};

// What the port can give: `automatic` becomes one of the two. @throws lab::JobError where it cannot
BalanceTable table_for(const SuiteParams &params, const SuitePorts &ports);

} // namespace reframer::dpdk
