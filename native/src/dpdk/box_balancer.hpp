// The load balancer between a box's ports: balancer.h on the thread that polls both.
//
// spec     "balancer": {...}, see jobs/served_pool.hpp; none: the box forwards what it gets
// command  {"do":"balancer","command":{...}}   {"balanced":{...}}
// sample   "balancer": its counters
#pragma once

#include "jobs/served_pool.hpp"

#include <rte_mbuf.h>

#include <atomic>
#include <functional>
#include <optional>

namespace reframer::dpdk {

class BoxBalancer {
public:
	// @throws lab::JobError
	explicit BoxBalancer(const lab::Json *spec);
	bool empty() const { return !pool_; }
	void open(); // @throws lab::JobError

	// While a thread polls, that thread obeys, between two bursts; this one waits.
	void polled(bool is) { polled_ = is; }
	lab::Json change(const lab::Json &command);
	lab::Json sample();

	// Of the polling thread.
	void obey();
	// Those that go on stay at the front of `packets`, the others are freed; copies for all servers go to
	// `send`. @return how many go on
	uint32_t process(rte_mbuf **packets, uint32_t n, uint64_t now_ns,
	                 const std::function<void(rte_mbuf **, uint32_t)> &send);

private:
	void copy_to_all(rte_mbuf *packet, const std::function<void(rte_mbuf **, uint32_t)> &send);

	std::optional<lab::ServedPool> pool_;
	bool polled_ = false;
	std::atomic<const lab::Json *> asked_{nullptr};
	lab::Json answer_;
};

} // namespace reframer::dpdk
