// The reframing stage of a loop over DPDK ports: an object of dpdk.h.
#pragma once

#include "datapath/poll_loop.hpp"
#include "reframer/dpdk.h"

#include <algorithm>
#include <cstdint>

namespace reframer::dpdk {

// Received mbufs, in an array that has room for what leaves.
struct Received {
	rte_mbuf **packets;
	uint32_t count;
};

class MbufStage {
public:
	// `queue` may be null: no stage. `most_out` packets leave in a poll; `bounded`: even if more are
	// due, see reframer_room().
	MbufStage(reframer_dpdk_queue *queue, uint16_t most_out, bool bounded)
		: queue_(queue), most_out_(most_out), bounded_(bounded)
	{
	}

	uint32_t room(uint64_t now_ns, uint32_t most) const
	{
		return queue_ && bounded_
		           ? std::min(most, reframer_room(reframer_dpdk_stage(queue_), now_ns))
		           : most;
	}
	engine::Batch<rte_mbuf> pass(const Received &received, uint64_t now_ns, bool draining) const
	{
		if (queue_ == nullptr)
			return {received.packets, received.count, {}};
		const uint32_t n = draining
		                       ? reframer_dpdk_drain(queue_, received.packets, most_out_)
		                       : reframer_dpdk_pass(queue_, received.packets,
		                                            uint16_t(received.count), most_out_, now_ns);
		const reframer_run *runs;
		const uint32_t nb_runs = reframer_dpdk_runs(queue_, &runs);
		return {received.packets, n, {runs, nb_runs}};
	}

private:
	reframer_dpdk_queue *queue_;
	uint16_t most_out_;
	bool bounded_;
};

} // namespace reframer::dpdk
