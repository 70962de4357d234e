/**
 * Flow tracking of mbuf bursts (conntrack.h).
 *
 * Errors, null pointers and versions: see dpdk.h.
 */
#ifndef REFRAMER_DPDK_FLOWS_H
#define REFRAMER_DPDK_FLOWS_H

#include <reframer/conntrack.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rte_mbuf;

/** Packets of one conntrack_dpdk call. */
#define CONNTRACK_DPDK_BURST 64

/**
 * Looks up, and inserts what is missing, for a burst of mbufs (Ethernet frames): parses, builds
 * keys of the table's size, computes digests, prefetches, and asks the table. Both directions of a
 * connection share an entry in tables with CONNTRACK_SYMMETRIC. With CONNTRACK_NIC_HASH tables the
 * digest comes from mbuf->hash.rss; packets without RTE_MBUF_F_RX_RSS_HASH get no entry then.
 * @param nb at most CONNTRACK_DPDK_BURST.
 * @param states out: state of each packet's flow; NULL: no flow (not IP, a later fragment; IPv6
 *   where keys are CONNTRACK_KEY_IPV4) or no room.
 * @param results out: bits of enum conntrack_result; may be NULL.
 * @return packets that have a state, or -EINVAL (a null pointer, or more than
 *   CONNTRACK_DPDK_BURST).
 */
int conntrack_dpdk_burst(struct conntrack_table *table, struct rte_mbuf *const *packets,
                         uint32_t nb, uint64_t now_ns, void **states, uint8_t *results);
/**
 * Shows a table under /conntrack/stats,NAME; its numbers are read while its core works.
 * @return 0, -EEXIST, -EINVAL.
 */
int conntrack_dpdk_show(const char *name, const struct conntrack_table *table);
/** Before the table is freed. */
void conntrack_dpdk_hide(const struct conntrack_table *table);

#ifdef __cplusplus
}
#endif
#endif
