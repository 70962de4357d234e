/**
 * A table in software: one core receives and hashes, the others get a ring each.
 *
 * Errors, null pointers and versions: see dpdk.h.
 */
#ifndef REFRAMER_DPDK_DISPATCH_H
#define REFRAMER_DPDK_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rte_mbuf;

struct rsspp_dpdk_dispatch;

struct rsspp_dpdk_dispatch_params {
	/** sizeof(struct rsspp_dpdk_dispatch_params), set by the defaults */
	size_t size;
	/** Power of two, 64..4096; default 512, what the authors ran on DPDK */
	uint32_t nb_entries;
	/** 1..64 */
	uint32_t nb_workers;
	/** Packets a worker's ring holds, power of two; default 4096, the papers' */
	uint32_t ring_size;
	/** NUMA node of the rings; default -1: any */
	int socket;
};

/** What rsspp_dpdk_dispatch_default_params() calls: writes `size` bytes, no more. */
void rsspp_dpdk_dispatch_params_init(struct rsspp_dpdk_dispatch_params *params, size_t size);
/** Fills in the defaults, as far as the caller's header knows members. */
static inline void rsspp_dpdk_dispatch_default_params(struct rsspp_dpdk_dispatch_params *params)
{
	rsspp_dpdk_dispatch_params_init(params, sizeof(*params));
}
/** As rsspp_balancer_check(). */
int rsspp_dpdk_dispatch_check(const struct rsspp_dpdk_dispatch_params *params, char *why, size_t n);
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
