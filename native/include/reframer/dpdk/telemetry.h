/**
 * Telemetry: read by dpdk-telemetry.py and `reframer top`.
 */
#ifndef REFRAMER_DPDK_TELEMETRY_H
#define REFRAMER_DPDK_TELEMETRY_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Registers /reframer/list, /reframer/stats,PORT,QUEUE, /reframer/histogram,PORT,QUEUE,
 * /rsspp/list, /rsspp/table,PORT, /conntrack/list and /conntrack/stats,NAME. Commands show the
 * objects that exist when they are asked. Once a process; later calls do nothing. @return 0 or the
 * error of DPDK.
 */
int reframer_dpdk_telemetry(void);

#ifdef __cplusplus
}
#endif
#endif
