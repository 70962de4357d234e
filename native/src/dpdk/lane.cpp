#include "dpdk/lane.hpp"

#include "dpdk/counter.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#include <thread>

namespace reframer::dpdk {

namespace {

// A full ring of 1024 frames of 1500 bytes at 100 Gbps takes 123 us.
constexpr uint64_t drain_us = 200;

} // namespace

void count_arrivals(Lane &lane, rte_mbuf *const *packets, uint32_t nb)
{
	uint64_t bytes = 0;
	uint32_t oversized = 0;
	for (uint32_t i = 0; i < nb; i++) {
		bytes += packets[i]->pkt_len;
		oversized += packets[i]->pkt_len > longest_frame;
	}
	add(lane.received, nb);
	add(lane.bytes_received, bytes);
	if (oversized) [[unlikely]]
		add(lane.oversized, oversized);
}

void Sender::send(Lane &lane, uint16_t out, rte_mbuf **packets, uint32_t nb)
{
	uint32_t done = 0;
	uint64_t bytes = 0; // before they are sent: afterwards the packets are the driver's
	for (uint32_t i = 0; i < nb; i++)
		bytes += packets[i]->pkt_len;
	std::atomic_flag &taken = busy[out % most_ports][lane.queue % most_queues];
	while (done < nb) {
		while (shares_queues && taken.test_and_set(std::memory_order_acquire))
			rte_pause();
		const uint16_t n = rte_eth_tx_burst(out, lane.queue, packets + done, uint16_t(nb - done));
		if (shares_queues)
			taken.clear(std::memory_order_release);
		done += n;
		if (n > 0)
			continue;
		add(lane.waits, 1);
		if (rte_rdtsc() > give_up_at.load(std::memory_order_relaxed)) {
			for (uint32_t i = done; i < nb; i++)
				bytes -= packets[i]->pkt_len;
			rte_pktmbuf_free_bulk(packets + done, nb - done);
			add(lane.unsent, nb - done);
			break;
		}
		if (while_waiting)
			while_waiting();
		std::this_thread::yield();
	}
	add(lane.sent, done);
	add(lane.bytes_sent, bytes);
}

void Sender::drain(const Lane &lane, uint16_t out) const
{
	rte_eth_txq_info info;
	if (shares_queues || rte_eth_tx_queue_info_get(out, lane.queue, &info) != 0)
		return;
	// The descriptor before the one that is next: the last that was handed over.
	const auto last = uint16_t(info.nb_desc - 1);
	const uint64_t until = rte_rdtsc() + rte_get_tsc_hz() * drain_us / 1'000'000;
	while (rte_eth_tx_descriptor_status(out, lane.queue, last) == RTE_ETH_TX_DESC_FULL &&
	       rte_rdtsc() < until)
		rte_pause();
}

} // namespace reframer::dpdk
