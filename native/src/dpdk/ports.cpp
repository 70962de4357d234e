#include "dpdk/ports.hpp"

#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <cerrno>

namespace reframer::dpdk {

lab::JobError port_failure(const std::string &what, int error)
{
	const int code = error < 0 ? -error : error;
	const bool unsupported = code == ENOTSUP || code == ENOSYS;
	return lab::JobError(unsupported ? "not-supported" : "port", what + ": " + rte_strerror(code),
	                     unsupported ? 3 : 1);
}

uint16_t port_named(const std::string &name)
{
	uint16_t port;
	if (rte_eth_dev_get_port_by_name(name.c_str(), &port) != 0)
		throw lab::JobError(
			"bad-spec",
			"DPDK has no port '" + name +
				"'; --eal makes or allows one, such as --vdev=net_tap0 or -a 0000:03:00.0",
			2);
	return port;
}

std::string port_name(uint16_t port)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	return rte_eth_dev_get_name_by_port(port, name) == 0 ? name : "port " + std::to_string(port);
}

void start_port(uint16_t port, const PortUse &use, rte_mempool *pool)
{
	rte_eth_dev_info info;
	if (const int error = rte_eth_dev_info_get(port, &info); error != 0)
		throw port_failure(port_name(port), error);
	if (use.nb_queues > info.max_rx_queues || use.nb_queues > info.max_tx_queues)
		throw lab::JobError("not-supported",
		                    port_name(port) + " has at most " +
		                        std::to_string(std::min(info.max_rx_queues, info.max_tx_queues)) +
		                        " queues",
		                    3);
	rte_eth_conf conf = {};
	const uint64_t hashes =
		info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
	// Also for one queue: the NIC's hash spares reading headers.
	if (use.nb_queues > 1 || (hashes && info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH)) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = hashes;
	}
	conf.rxmode.offloads =
		info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_RSS_HASH | RTE_ETH_RX_OFFLOAD_SCATTER);
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	int error = rte_eth_dev_configure(port, use.nb_queues, use.nb_queues, &conf);
	uint16_t nb_rx = use.nb_descriptors, nb_tx = nb_rx;
	if (error == 0)
		error = rte_eth_dev_adjust_nb_rx_tx_desc(port, &nb_rx, &nb_tx);
	for (uint16_t q = 0; error == 0 && q < use.nb_queues; q++) {
		error = rte_eth_tx_queue_setup(port, q, nb_tx, SOCKET_ID_ANY, nullptr);
		if (error == 0)
			error = rte_eth_rx_queue_setup(port, q, nb_rx, SOCKET_ID_ANY, nullptr, pool);
	}
	if (error == 0)
		error = rte_eth_dev_start(port);
	if (error != 0)
		throw port_failure(port_name(port) + " does not start with " +
		                       std::to_string(use.nb_queues) + " queues",
		                   error);
	// A box in the wire takes what is not addressed to it. Ports that cannot be told do so anyway.
	rte_eth_promiscuous_enable(port);
}

void close_port(uint16_t port)
{
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
}

PortCounts port_counts(uint16_t port)
{
	rte_eth_stats stats;
	if (rte_eth_stats_get(port, &stats) != 0)
		return {};
	return {stats.imissed + stats.rx_nombuf, stats.rx_nombuf, stats.opackets, stats.obytes};
}

} // namespace reframer::dpdk
