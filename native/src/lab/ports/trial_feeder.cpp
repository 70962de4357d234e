#include "lab/ports/trial_feeder.hpp"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <cstring>

namespace reframer::dpdk {

uint32_t Feeder::send(const engine::Arrival *arrivals, uint32_t nb)
{
	rte_mbuf *packets[most];
	if (rte_pktmbuf_alloc_bulk(pool_, packets, nb) != 0) {
		refused_ += nb;
		return 0;
	}
	for (uint32_t i = 0; i < nb; i++) {
		const engine::Arrival &a = arrivals[i];
		std::memcpy(rte_pktmbuf_mtod(packets[i], void *), a.data, a.captured);
		packets[i]->data_len = static_cast<uint16_t>(a.captured);
		packets[i]->pkt_len = a.captured;
		packets[i]->hash.rss = a.rss;
		packets[i]->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	}
	const uint32_t sent = rte_eth_tx_burst(port_, 0, packets, static_cast<uint16_t>(nb));
	rte_pktmbuf_free_bulk(packets + sent, nb - sent);
	refused_ += nb - sent;
	return sent;
}

} // namespace reframer::dpdk
