// The other end of a trial's port: sends packets into it, as the wire would. Over net_ring it is the
// port itself that is sent to, over af_packet and af_xdp the
// other end of a veth pair.
#pragma once

#include "datapath/queue.hpp"

#include <rte_mempool.h>

#include <cstdint>

struct rte_mbuf;

namespace reframer::dpdk {

class Feeder {
public:
	// Sends to TX queue 0 of `port`, from `pool`. One thread at a time.
	Feeder(uint16_t port, rte_mempool *pool) : port_(port), pool_(pool) {}

	static constexpr uint32_t most = 32;
	// Sends up to `most` packets; what the port or the pool refuses is lost, as in a full ring.
	// Returns how many were taken.
	uint32_t send(const engine::Arrival *arrivals, uint32_t nb);

	uint64_t refused() const { return refused_; }

private:
	const uint16_t port_;
	rte_mempool *const pool_;
	uint64_t refused_ = 0;
};

} // namespace reframer::dpdk
