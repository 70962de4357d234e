/**
 * Names of 0.1 that are named by one scheme now: they do what they did, and stay for one release.
 */
#ifndef REFRAMER_DPDK_DEPRECATED_H
#define REFRAMER_DPDK_DEPRECATED_H

#include <reframer/dpdk/stage.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** reframer_dpdk_rx_burst(). */
__attribute__((deprecated("use reframer_dpdk_rx_burst()"))) uint16_t reframer_rx_burst(
	struct reframer_dpdk_queue *queue, struct rte_mbuf **packets, uint16_t nb);
/** reframer_dpdk_rx_callback(). */
__attribute__((deprecated("use reframer_dpdk_rx_callback()"))) uint16_t reframer_rx_callback(
	uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t nb, uint16_t room, void *q);
/** rsspp_dpdk_rx_callback(). */
__attribute__((deprecated("use rsspp_dpdk_rx_callback()"))) uint16_t rsspp_rx_callback(
	uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t nb, uint16_t room,
	void *rsspp_queue);

#ifdef __cplusplus
}
#endif
#endif
