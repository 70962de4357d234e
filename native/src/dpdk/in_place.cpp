#include "dpdk/in_place.hpp"

#include "dpdk/receive.hpp"

namespace reframer::dpdk {

InPlace::InPlace(uint16_t port, const std::vector<reframer_dpdk_queue *> &queues)
{
	struct rte_eth_fp_ops &ops = rte_eth_fp_ops[port];
	drivers_rx_ = ops.rx_pkt_burst;
	drivers_count_ = ops.rx_queue_count;
	drivers_status_ = ops.rx_descriptor_status;
	drivers_queues_ = ops.rxq.data;
	queues_.reserve(queues.size()); // addresses stay
	for (reframer_dpdk_queue *queue : queues) {
		queues_.push_back({queue, this, uint16_t(queues_.size())});
		addresses_.push_back(&queues_.back());
	}
	ops.rxq.data = addresses_.data();
	ops.rx_pkt_burst = rx;
	if (drivers_count_)
		ops.rx_queue_count = count;
	if (drivers_status_)
		ops.rx_descriptor_status = status;
}

uint16_t InPlace::rx(void *queue, rte_mbuf **packets, uint16_t nb)
{
	const auto &q = *static_cast<const Queue *>(queue);
	const eth_rx_burst_t drivers_rx = q.port->drivers_rx_;
	void *const drivers = q.drivers();
	if (q.reframer == nullptr)
		return drivers_rx(drivers, packets, nb);
	return receive(*q.reframer, packets, nb,
	               [=](uint16_t most) { return drivers_rx(drivers, packets, most); });
}

uint32_t InPlace::count(void *queue)
{
	const auto &q = *static_cast<const Queue *>(queue);
	return q.port->drivers_count_(q.drivers());
}

int InPlace::status(void *queue, uint16_t offset)
{
	const auto &q = *static_cast<const Queue *>(queue);
	return q.port->drivers_status_(q.drivers(), offset);
}

} // namespace reframer::dpdk
