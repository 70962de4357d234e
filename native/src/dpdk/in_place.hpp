// Reframer in the place of a port's receive function.
//
// An RX callback runs behind the driver, with packets that are received already: under overload it
// can neither refuse them nor take what is held out of the way, since the program's array has room for
// as many as came. In the driver's place the stage is asked first, and what it has no room for stays
// in the NIC's ring, where loss belongs.
//
// rte_eth_rx_burst() is compiled into the program and reads rte_eth_fp_ops. There each RX queue of the
// port becomes an object of ours, and the functions that take a queue become ones that know it.
#pragma once

#include "dpdk/queue.hpp"

#include <rte_ethdev.h>

#include <cstdint>
#include <vector>

namespace reframer::dpdk {

class InPlace {
public:
	// The port has just been started, and nobody polls it yet. One object a queue of the port; null:
	// the driver's packets as they are. They stay the caller's.
	InPlace(uint16_t port, const std::vector<reframer_dpdk_queue *> &queues);
	// Starting a port that runs already changes nothing, and must not be put in place twice.
	static bool is_on(uint16_t port) { return rte_eth_fp_ops[port].rx_pkt_burst == rx; }
	// Whoever stopped the port took the functions away; no one polls.
	~InPlace() = default;
	InPlace(const InPlace &) = delete;
	InPlace &operator=(const InPlace &) = delete;

private:
	struct Queue {
		reframer_dpdk_queue *reframer;
		const InPlace *port;
		uint16_t id;
		// A queue can be set up anew while its port runs: it is asked for each time.
		void *drivers() const { return port->drivers_queues_[id]; }
	};
	static uint16_t rx(void *queue, rte_mbuf **packets, uint16_t nb);
	static uint32_t count(void *queue);
	static int status(void *queue, uint16_t offset);

	eth_rx_burst_t drivers_rx_;
	eth_rx_queue_count_t drivers_count_;
	eth_rx_descriptor_status_t drivers_status_;
	void **drivers_queues_;
	std::vector<Queue> queues_;
	std::vector<void *> addresses_; // of queues_, as the port's functions find them
};

} // namespace reframer::dpdk
