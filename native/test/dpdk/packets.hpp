// Packets of flows that go through a queue, and what is checked of those that leave it.
#pragma once

#include "eal.hpp"
#include "reframer/dpdk.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace reframer::test {

struct Queue {
	explicit Queue(const reframer_dpdk_params &params, uint16_t port)
	{
		REQUIRE(reframer_dpdk_open(port, 0, &params, &q) == 0);
	}
	~Queue() { reframer_dpdk_close(q); }
	reframer_dpdk_queue *q = nullptr;
};

inline reframer_dpdk_params with_delay(uint64_t ns)
{
	eal();
	reframer_dpdk_params params;
	reframer_dpdk_default_params(&params);
	params.stage.delay_ns = ns;
	return params;
}

// Checks flows' order and counts; frees.
struct Sink {
	std::vector<uint32_t> last = std::vector<uint32_t>(nb_flows);
	uint64_t received = 0, reordered = 0;

	void take(rte_mbuf **packets, uint32_t nb)
	{
		for (uint32_t i = 0; i < nb; i++) {
			const rte_mbuf *packet = packets[i];
			const rte_mbuf *tail = rte_pktmbuf_lastseg(const_cast<rte_mbuf *>(packet));
			Mark mark;
			std::memcpy(&mark,
			            rte_pktmbuf_mtod_offset(tail, const char *, tail->data_len - sizeof(mark)),
			            sizeof(mark));
			reordered += mark.sequence != last[mark.flow] + 1;
			last[mark.flow] = mark.sequence;
		}
		received += nb;
		rte_pktmbuf_free_bulk(packets, nb);
	}
};

struct Source {
	explicit Source(uint64_t seed) : rng(seed)
	{
		for (uint32_t f = 0; f < nb_flows; f++)
			frames.push_back(frame_of(f));
	}
	rte_mbuf *packet()
	{
		const uint32_t flow = uint32_t(std::min(rng() % nb_flows, rng() % nb_flows));
		rte_mbuf *p = packet_of(frames[flow], {flow, sequence[flow] + 1});
		REQUIRE(p != nullptr);
		sequence[flow]++;
		return p;
	}
	std::mt19937_64 rng;
	std::vector<Bytes> frames;
	std::vector<uint32_t> sequence = std::vector<uint32_t>(nb_flows);
};

} // namespace reframer::test
