// A trial over ports whose load comes from outside: several queues, a core each. Whoever offers the load
// says when its window begins and ends.
#pragma once

#include "dpdk/pollers.hpp"
#include "dpdk/ports.hpp"
#include "lab/ports/trial_run.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

struct rte_mempool;

namespace reframer::dpdk {

struct LiveParams {
	DpdkTrial trial; // without a feeder
	uint32_t nb_queues = 1;
	PortWish port;
};

class LiveTrial {
public:
	// EAL is up; queue q is polled by CPU q. @throws lab::JobError
	LiveTrial(const LiveParams &params, const PollerCpus &cpus);
	~LiveTrial();
	LiveTrial(const LiveTrial &) = delete;
	LiveTrial &operator=(const LiveTrial &) = delete;

	void open_window();
	void close_window();
	// Takes what waits in the rings, drains, ends the threads. What was measured in the window.
	DpdkOutcome stop();

	const std::vector<PortGrant> &grants() const { return grants_; }
	uint64_t received() const;

private:
	explicit LiveTrial(const LiveParams &params);
	struct Lane;
	void run(Lane &lane);

	const LiveParams params_;
	rte_mempool *pool_ = nullptr;
	uint16_t in_ = 0, out_ = 0;
	std::vector<PortGrant> grants_;
	std::unique_ptr<nf::ChainFactory> factory_;
	std::vector<std::unique_ptr<Lane>> lanes_;
	std::vector<Poller> pollers_;
	uint64_t missed_before_ = 0, opened_at_ = 0, closed_at_ = 0; // packets; TSC
	std::atomic<bool> in_window_{false}, stopping_{false};
};

} // namespace reframer::dpdk
