// EAL with virtual ports, once a process, and packets that say which they are. No NIC, no hugepages.
#pragma once

#include "base/cores.hpp"
#include "support/packet_builder.hpp"

#include <doctest/doctest.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <cstring>
#include <string>

namespace reframer::test {

inline constexpr uint16_t nb_queues = 4;
inline constexpr uint16_t burst = 32;

struct Eal {
	Eal()
	{
		const char *args[] = {"test-dpdk",
		                      "--no-pci",
		                      "--no-huge",
		                      "-m",
		                      "256",
		                      "--no-shconf",
		                      "--no-telemetry",
		                      "--log-level=error",
		                      "--vdev=net_null0",
		                      "--vdev=net_null1",
		                      "--vdev=net_ring0"};
		// EAL pins the thread that calls it; the others are ours, so it may go on anywhere after.
		const cpu_set_t before = base::affinity();
		const int n = rte_eal_init(int(std::size(args)), const_cast<char **>(args));
		base::set_affinity(pthread_self(), before);
		if (n < 0)
			return;
		pool = rte_pktmbuf_pool_create("packets", 16383, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
		                               SOCKET_ID_ANY);
		usable = pool && rte_eth_dev_get_port_by_name("net_null0", &null_port) == 0 &&
		         rte_eth_dev_get_port_by_name("net_null1", &plain_port) == 0 &&
		         rte_eth_dev_get_port_by_name("net_ring0", &ring_port) == 0 &&
		         start(null_port, nb_queues, RTE_ETH_MQ_RX_RSS) &&
		         start(plain_port, 2, RTE_ETH_MQ_RX_NONE) &&
		         start(ring_port, 1, RTE_ETH_MQ_RX_NONE);
	}
	bool start(uint16_t port, uint16_t queues, rte_eth_rx_mq_mode mode)
	{
		rte_eth_conf conf = {};
		conf.rxmode.mq_mode = mode;
		if (rte_eth_dev_configure(port, queues, 1, &conf) != 0 ||
		    rte_eth_tx_queue_setup(port, 0, 512, SOCKET_ID_ANY, nullptr) != 0)
			return false;
		for (uint16_t q = 0; q < queues; q++)
			if (rte_eth_rx_queue_setup(port, q, 512, SOCKET_ID_ANY, nullptr, pool) != 0)
				return false;
		return rte_eth_dev_start(port) == 0;
	}
	bool usable = false;
	rte_mempool *pool = nullptr;
	uint16_t null_port = 0, plain_port = 0, ring_port = 0;
};

inline Eal &eal()
{
	static Eal one;
	REQUIRE_MESSAGE(one.usable,
	                "EAL or its virtual ports did not come up: ", rte_strerror(rte_errno));
	return one;
}

struct Mark {
	uint32_t flow;
	uint32_t sequence; // from 1
};

inline constexpr uint32_t nb_flows = 300;

// A UDP frame of `flow` whose payload says which it is. Built once a flow, stamped per packet.
inline Bytes frame_of(uint32_t flow)
{
	return ethernet(type_ipv4,
	                ipv4({.source = "10.1." + std::to_string(flow / 200) + "." +
	                                std::to_string(1 + flow % 200)},
	                     udp({.source = uint16_t(1024 + flow), .payload = Bytes(sizeof(Mark))})));
}

inline rte_mbuf *packet_of(const Bytes &frame, Mark mark)
{
	rte_mbuf *packet = rte_pktmbuf_alloc(eal().pool);
	if (packet == nullptr)
		return nullptr;
	char *data = rte_pktmbuf_append(packet, uint16_t(frame.size()));
	std::memcpy(data, frame.data(), frame.size());
	std::memcpy(data + frame.size() - sizeof(mark), &mark, sizeof(mark));
	return packet;
}

inline Mark mark_of(const rte_mbuf *packet)
{
	Mark mark;
	std::memcpy(&mark,
	            rte_pktmbuf_mtod_offset(packet, const char *, packet->data_len - sizeof(mark)),
	            sizeof(mark));
	return mark;
}

} // namespace reframer::test
