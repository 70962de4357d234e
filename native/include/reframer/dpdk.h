/**
 * The suite in DPDK programs (libreframer_dpdk.so; the program brings up EAL and ports):
 *  - Reframer on an RX queue: in place of rte_eth_rx_burst(), as an RX callback, as a graph node;
 *  - RSS++ on a port: its indirection table, by RETA or by flow rules; a table in software for
 *    ports that have neither; buckets counted in an RX callback, balanced on a service lcore;
 *  - flow tracking of mbuf bursts;
 *  - telemetry of all of these.
 *
 * Names: reframer_dpdk_*, rsspp_dpdk_* and conntrack_dpdk_*; dpdk/deprecated.h has those of before.
 *
 * Errors: 0 or negative errno values; the *_check() functions put -EINVAL into words. Nothing here
 * prints. No call on the packet path allocates, locks or enters the kernel. Null pointers where one
 * is needed are refused where objects are made and freed; on the packet path they are undefined, as
 * are counts beyond the arrays that come with them.
 *
 * Versions: see version.h. Structs grow at their end, and the inline functions tell the
 * library by how much. A struct of another header stands last in the one that holds it; what comes
 * before it grows into `reserved`.
 */
#ifndef REFRAMER_DPDK_H
#define REFRAMER_DPDK_H

#include <reframer/dpdk/balancer.h>
#include <reframer/dpdk/deprecated.h>
#include <reframer/dpdk/dispatch.h>
#include <reframer/dpdk/flows.h>
#include <reframer/dpdk/stage.h>
#include <reframer/dpdk/telemetry.h>

#endif
