/**
 * RSS++ on a port: its table, and buckets counted in the RX callback, balanced on a service lcore.
 *
 * Errors, null pointers and versions: see dpdk.h.
 */
#ifndef REFRAMER_DPDK_BALANCER_H
#define REFRAMER_DPDK_BALANCER_H

#include <reframer/rsspp.h>

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
 * traffic (mlx5 restarts it). Two groups of rules take turns: the idle one gets the new rule, then
 * a jump of another priority leads there, then the old jump goes; packets see one table or the
 * other. The port is started. First table: entry i is queue i mod nb_queues.
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

/* ---- Buckets counted in the RX callback, balanced on a service lcore ---- */

/**
 * For programs whose flow state is shared or absent, or that move it themselves: nothing is handed
 * over here (rsspp.h has the hand-over). Counts come from the NIC's RSS hash of each packet.
 */
struct rsspp_dpdk_balancer;
/** One RX queue's counters and load. */
struct rsspp_dpdk_queue;

struct rsspp_dpdk_balancer_params {
	/** sizeof(struct rsspp_dpdk_balancer_params), set by the defaults */
	size_t size;
	/** Epoch; 1000 to 3.6e12, default 100 ms, the authors' */
	uint64_t interval_ns;
	/** 0 */
	uint64_t reserved[4];
	/**
	 * nb_buckets and nb_cores are set from the table, interval_us from interval_ns;
	 * busy_interval_us is 100 ms by default, as many drivers stop reception while they write a
	 * table: 10 ms where yours does not.
	 */
	struct rsspp_balancer_params balancer;
};

/** What rsspp_dpdk_balancer_default_params() calls, with the sizes of the caller's structs. */
void rsspp_dpdk_balancer_params_init(struct rsspp_dpdk_balancer_params *params, size_t size,
                                     size_t balancer_size);
/** Fills in the defaults, as far as the caller's headers know members. */
static inline void rsspp_dpdk_balancer_default_params(struct rsspp_dpdk_balancer_params *params)
{
	rsspp_dpdk_balancer_params_init(params, sizeof(*params), sizeof(params->balancer));
}
/** As rsspp_balancer_check(). */
int rsspp_dpdk_balancer_check(const struct rsspp_dpdk_balancer_params *params, char *why, size_t n);
/**
 * @param table stays the caller's, and open as long as the balancer exists.
 * @return 0, -EINVAL, -ENOMEM, or the error of reading the table.
 */
int rsspp_dpdk_balancer_create(struct rsspp_dpdk_table *table,
                               const struct rsspp_dpdk_balancer_params *params,
                               struct rsspp_dpdk_balancer **out);
/** Callbacks removed and service unregistered before. NULL is harmless. */
void rsspp_dpdk_balancer_free(struct rsspp_dpdk_balancer *balancer);
/** Argument of the callback for an RX queue of the port; NULL beyond the table's queues. */
struct rsspp_dpdk_queue *rsspp_dpdk_balancer_queue(struct rsspp_dpdk_balancer *balancer,
                                                   uint16_t queue);
/**
 *     rte_eth_add_rx_callback(port, queue, rsspp_dpdk_rx_callback, rsspp_dpdk_balancer_queue(b, queue));
 * Counts packets by bucket, and the time from a poll that found packets to the next one as load.
 * Add it before reframer_dpdk_rx_callback(): arrivals are what a table steers.
 */
uint16_t rsspp_dpdk_rx_callback(uint16_t port, uint16_t queue, struct rte_mbuf **packets,
                                uint16_t nb, uint16_t room, void *rsspp_queue);
/** What rsspp_dpdk_balancer_epoch() calls, with the size of the caller's struct. */
int rsspp_dpdk_balancer_epoch_sized(struct rsspp_dpdk_balancer *balancer,
                                    struct rsspp_report *report, size_t report_size);
/**
 * One epoch now: solves, writes the table. One thread. @param report may be NULL.
 * @return moves made, or a negative error.
 */
static inline int rsspp_dpdk_balancer_epoch(struct rsspp_dpdk_balancer *balancer,
                                            struct rsspp_report *report)
{
	return rsspp_dpdk_balancer_epoch_sized(balancer, report, sizeof(*report));
}
/**
 * Runs the epochs on a service lcore: registers the service "rsspp-PORT"; the program maps it to a
 * service lcore and starts it as any other (rte_service_map_lcore_set, rte_service_runstate_set).
 * @return 0 and the service's id, or the error of DPDK.
 */
int rsspp_dpdk_service_register(struct rsspp_dpdk_balancer *balancer, uint32_t *service);
/** The service is stopped. */
int rsspp_dpdk_service_unregister(struct rsspp_dpdk_balancer *balancer);

#ifdef __cplusplus
}
#endif
#endif
