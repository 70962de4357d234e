/**
 * RSS++ on DPDK ports: the indirection table of a port, by RETA or by flow rules, and a table in
 * software for ports that have neither. In libreframer_dpdk.so; the program brings up EAL and ports.
 *
 * Results are 0 or negative errno values. Nothing here prints.
 */
#ifndef REFRAMER_DPDK_H
#define REFRAMER_DPDK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rte_mbuf;

/* ---- The table of a port. One thread, off the packet path. ---- */

struct rsspp_dpdk_table;

/**
 * The port's RETA. The port is configured with RTE_ETH_MQ_RX_RSS and, for drivers such as ixgbe,
 * started. @param nb_queues RX queues of the port.
 * @return 0, -ENODEV, -ENOTSUP (no RETA, or one that cannot be read), -EINVAL, -ENOMEM.
 */
int rsspp_dpdk_reta_open(uint16_t port, uint32_t nb_queues, struct rsspp_dpdk_table **out);
/**
 * A table made of flow rules, whose queue list is the table: for ports whose RETA write disturbs
 * traffic (mlx5 restarts it). Two groups of rules take turns: the idle one gets the new rule, then a
 * jump of another priority leads there, then the old jump goes; packets see one table or the other.
 * The port is started. First table: entry i is queue i mod nb_queues.
 * @return 0, -ENODEV, -ENOTSUP (the port takes no such rules), -EINVAL, -ENOMEM.
 */
int rsspp_dpdk_flow_open(uint16_t port, uint32_t nb_entries, uint32_t nb_queues,
                         struct rsspp_dpdk_table **out);
/** Rules are destroyed; a RETA stays as it is (see rsspp_dpdk_table_restore). */
void rsspp_dpdk_table_close(struct rsspp_dpdk_table *table);

uint32_t rsspp_dpdk_table_size(const struct rsspp_dpdk_table *table);
int rsspp_dpdk_table_read(struct rsspp_dpdk_table *table, uint16_t *queues);
/**
 * RETA: writes the groups of 64 that hold a change, and reads them back.
 * @param nb_refused entries that are not as wanted afterwards; may be NULL.
 * @return 0, the driver's error, or -EIO: the driver reported success and kept other entries.
 */
int rsspp_dpdk_table_write(struct rsspp_dpdk_table *table, const uint16_t *queues,
                           uint32_t *nb_refused);
/** Writes the table that the port had when it was opened. */
int rsspp_dpdk_table_restore(struct rsspp_dpdk_table *table);

/* ---- A table in software: one core receives and hashes, the others get a ring each ---- */

struct rsspp_dpdk_dispatch;

struct rsspp_dpdk_dispatch_params {
	size_t size;          /**< sizeof(struct rsspp_dpdk_dispatch_params), set by the defaults */
	uint32_t nb_entries;  /**< power of two, 64..4096; default 512, what the authors ran on DPDK */
	uint32_t nb_workers;  /**< 1..64 */
	uint32_t ring_size;   /**< packets a worker's ring holds, power of two; default 4096, the papers' */
	int socket;           /**< NUMA node of the rings; default -1: any */
};

void rsspp_dpdk_dispatch_default_params(struct rsspp_dpdk_dispatch_params *params);
/** First table: entry i is worker i mod nb_workers. @return 0, -EINVAL, -ENOMEM, -EEXIST. */
int rsspp_dpdk_dispatch_create(const struct rsspp_dpdk_dispatch_params *params,
                               struct rsspp_dpdk_dispatch **out);
/** Frees packets that are still in rings. */
void rsspp_dpdk_dispatch_free(struct rsspp_dpdk_dispatch *dispatch);

/**
 * Dispatching core: takes all `nb` packets. Uses the NIC's RSS hash where the mbuf has one; else
 * computes Toeplitz with Microsoft's key and leaves it in the mbuf. Packets whose ring is full are
 * freed and counted. No lock, no allocation.
 * @return packets that reached a ring.
 */
uint32_t rsspp_dpdk_dispatch_burst(struct rsspp_dpdk_dispatch *dispatch, struct rte_mbuf **packets,
                                   uint32_t nb);
/** Worker: its packets, in order. */
uint32_t rsspp_dpdk_dispatch_receive(struct rsspp_dpdk_dispatch *dispatch, uint32_t worker,
                                     struct rte_mbuf **packets, uint32_t room);
/** Worker: packets that wait in its ring: `queue_length` of rsspp_handover_poll(). */
uint32_t rsspp_dpdk_dispatch_waiting(const struct rsspp_dpdk_dispatch *dispatch, uint32_t worker);

int rsspp_dpdk_dispatch_read(const struct rsspp_dpdk_dispatch *dispatch, uint16_t *workers);
/**
 * Balancer: writes the table, then waits for the end of the burst that may be under way: every
 * packet that the old table steered is in its ring, and rsspp_handover_written() may be called.
 */
int rsspp_dpdk_dispatch_write(struct rsspp_dpdk_dispatch *dispatch, const uint16_t *workers);
/** Packets by entry, dropped ones included; monotonic. Any thread. */
void rsspp_dpdk_dispatch_counters(const struct rsspp_dpdk_dispatch *dispatch, uint64_t *packets);
/** Packets of a worker that found its ring full. Any thread. */
uint64_t rsspp_dpdk_dispatch_dropped(const struct rsspp_dpdk_dispatch *dispatch, uint32_t worker);

#ifdef __cplusplus
}
#endif
#endif
