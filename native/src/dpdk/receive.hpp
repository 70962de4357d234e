// Receiving through the stage: the first half of the poll loop, over a queue's port and the caller's
// array; the program is the second.
#pragma once

#include "datapath/poll_loop.hpp"
#include "dpdk/queue.hpp"

#include <algorithm>
#include <cstdint>

namespace reframer::dpdk {

// `Rx`: uint16_t(uint16_t most), packets of the port into the same array.
template <typename Rx> struct RxBurst {
	using Packet = rte_mbuf;
	struct Received {
		uint32_t count;
	};

	uint64_t now() const { return q.now(); }
	Received rx(uint32_t most) { return {most ? rx_(uint16_t(most)) : 0u}; }
	static void mark(engine::Step) {}

	// A core that is short of time gets a full array each time, and more is due.
	uint32_t room(uint64_t now_ns, uint32_t most) const
	{
		return q.passes() ? most : std::min(most, reframer_room(q.stage, now_ns));
	}
	engine::Batch<rte_mbuf> pass(const Received &received, uint64_t now_ns, bool)
	{
		const uint32_t n = q.pass(packets, uint16_t(received.count), nb, now_ns);
		return {packets, n, {q.runs, q.nb_runs}};
	}

	reframer_dpdk_queue &q;
	rte_mbuf **packets;
	uint16_t nb; // room
	Rx rx_;
};

template <typename Rx>
uint16_t receive(reframer_dpdk_queue &q, rte_mbuf **packets, uint16_t nb, Rx rx)
{
	RxBurst<Rx> burst{q, packets, nb, rx};
	return uint16_t(engine::take(burst, burst, nb, false).out.count);
}

} // namespace reframer::dpdk
