/**
 * The suite in DPDK programs (libreframer_dpdk.so; the program brings up EAL and ports):
 *  - Reframer on an RX queue: in place of rte_eth_rx_burst(), as an RX callback, as a graph node;
 *  - RSS++ on a port: its indirection table, by RETA or by flow rules; a table in software for
 *    ports that have neither; buckets counted in an RX callback, balanced on a service lcore;
 *  - flow tracking of mbuf bursts;
 *  - telemetry of all of these.
 *
 * Errors: 0 or negative errno values; the *_check() functions put -EINVAL into words. Nothing here
 * prints. No call on the packet path allocates, locks or enters the kernel. Null pointers where one
 * is needed are refused where objects are made and freed; on the packet path they are undefined, as
 * are counts beyond the arrays that come with them.
 *
 * Versions: see version.h. Structs grow at their end, and the inline functions below tell the
 * library by how much. A struct of another header stands last in the one that holds it; what comes
 * before it grows into `reserved`.
 */
#ifndef REFRAMER_DPDK_H
#define REFRAMER_DPDK_H

#include <reframer/conntrack.h>
#include <reframer/reframer.h>
#include <reframer/rsspp.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rte_mbuf;
struct rte_mempool;

/* ---- Reframer on an RX queue. One object a queue, used by the core that polls the queue. ---- */

struct reframer_dpdk_queue;

/**
 * Whose hash packets are grouped by. NICs hash fragments by addresses alone: by their hash whole
 * and fragmented packets of a flow are two groups, which may overtake each other. By ours they are
 * one; from the first fragment on, the stage reads the headers of a queue itself.
 */
enum reframer_dpdk_hash {
	/**
	 * The NIC's where the port has RSS_HASH on, hashes TCP and UDP ports, and the key is the
	 * 5-tuple; else ours.
	 */
	REFRAMER_DPDK_HASH_AUTO = 0,
	/** Ours, from the header. */
	REFRAMER_DPDK_HASH_SOFTWARE = 1,
	/**
	 * `mbuf->hash.rss` of packets with RTE_MBUF_F_RX_RSS_HASH, ours of the others; headers are read
	 * for policies only.
	 */
	REFRAMER_DPDK_HASH_NIC = 2,
};

struct reframer_dpdk_params {
	/** sizeof(struct reframer_dpdk_params), set by the defaults */
	size_t size;
	/** enum reframer_dpdk_hash; default REFRAMER_DPDK_HASH_AUTO */
	uint32_t hash;
	/** Queues whose packets come from `pool`; default 1 */
	uint32_t nb_pool_users;
	/**
	 * Mempool of the queue. Where given, at most half of it, shared by nb_pool_users, is held: held
	 * packets must not starve the receive ring. NULL (default): stage.max_packets is the bound.
	 */
	const struct rte_mempool *pool;
	/** 0 */
	uint64_t reserved[4];
	/** Policy, T, key, bounds; see reframer.h */
	struct reframer_params stage;
};

/** Runs of one burst that are kept for reframer_dpdk_runs(). */
#define REFRAMER_DPDK_MAX_RUNS 512

struct reframer_dpdk_stats {
	uint16_t port, queue;
	/** 1: grouped by the NIC's hash */
	uint32_t nic_hash;
	/** Bound in force */
	uint32_t max_packets;
	uint32_t reserved;
	/** Bursts asked for; those that found nothing new */
	uint64_t polls, empty_polls;
	/** Packets that the NIC had not hashed, under NIC hashes */
	uint64_t without_hash;
	/** Packets whose header is spread over segments, copied to be read */
	uint64_t in_pieces;
	/** Held packets freed instead of given out: by close or reframer_dpdk_free_held() */
	uint64_t freed;
	/** 0 */
	uint64_t reserved_too[4];
	struct reframer_stats stage;
};

/** What reframer_dpdk_default_params() calls, with the sizes of the caller's structs. */
void reframer_dpdk_params_init(struct reframer_dpdk_params *params, size_t size, size_t stage_size);
/** Fills in the defaults, as far as the caller's headers know members. */
static inline void reframer_dpdk_default_params(struct reframer_dpdk_params *params)
{
	reframer_dpdk_params_init(params, sizeof(*params), sizeof(params->stage));
}
/** As reframer_check(). */
int reframer_dpdk_check(const struct reframer_dpdk_params *params, char *why, size_t n);
/**
 * @param params NULL: the defaults. @return 0, -ENODEV, -EINVAL, -ENOMEM.
 * The port is configured (its offloads decide whose hash is used). Not on the packet path.
 */
int reframer_dpdk_open(uint16_t port, uint16_t queue, const struct reframer_dpdk_params *params,
                       struct reframer_dpdk_queue **out);
/** Frees the object and the packets that it still holds: drain first. NULL is harmless. */
void reframer_dpdk_close(struct reframer_dpdk_queue *queue);

/**
 * In place of rte_eth_rx_burst(port, queue, packets, nb): receives at most `nb` packets, holds
 * them, and fills the same array with what is due, run by run. Call it as often as before: an empty
 * poll releases too. Multi-segment packets are held whole.
 * @return packets in the array, at most nb.
 */
uint16_t reframer_rx_burst(struct reframer_dpdk_queue *queue, struct rte_mbuf **packets,
                           uint16_t nb);
/**
 * The same as an RX callback, for a program whose receive loop stays as it is:
 *     rte_eth_add_rx_callback(port, queue, reframer_rx_callback, q);
 * Never writes beyond the caller's array: what does not fit stays held. Remove it, and drain,
 * before the object is closed. Callbacks added earlier see packets as they arrive, later ones as
 * they leave.
 */
uint16_t reframer_rx_callback(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t nb,
                              uint16_t room, void *q);
/**
 * The same at a time of the caller's, for a program that reads a clock once a poll anyway, or
 * replays packets at their own times. One clock an object: not mixed with the calls above.
 * @param packets room for `room` packets, of which the first `nb` have been received.
 * @param now_ns nanoseconds of any clock; a step back holds packets longer and is counted.
 * @return packets in the array, at most `room`.
 */
uint16_t reframer_dpdk_pass(struct reframer_dpdk_queue *queue, struct rte_mbuf **packets,
                            uint16_t nb, uint16_t room, uint64_t now_ns);
/**
 * Run vector of the last burst: for one lookup a run. Valid until the next call on this object.
 * @return runs; with more than REFRAMER_DPDK_MAX_RUNS in a burst, the first ones; 0 also where the
 * stage was left out, because REFRAMER_ADAPTIVE gains nothing now: then nothing is known of runs.
 */
uint32_t reframer_dpdk_runs(const struct reframer_dpdk_queue *queue,
                            const struct reframer_run **runs);
/** Gives out what is held, due or not: at a stop, until it returns 0. */
uint32_t reframer_dpdk_drain(struct reframer_dpdk_queue *queue, struct rte_mbuf **packets,
                             uint32_t nb);
/** Frees what is held to its mempools, counted in `freed`. @return packets. */
uint32_t reframer_dpdk_free_held(struct reframer_dpdk_queue *queue);
/** The stage inside, for reframer_set_policy() and its like; by the polling core. */
struct reframer_stage *reframer_dpdk_stage(struct reframer_dpdk_queue *queue);
/** What reframer_dpdk_get_stats() calls: writes `size` bytes, no more. */
void reframer_dpdk_stats_get(const struct reframer_dpdk_queue *queue,
                             struct reframer_dpdk_stats *out, size_t size);
/** Any thread: values of the moment, each by itself sound, not a snapshot. */
static inline void reframer_dpdk_get_stats(const struct reframer_dpdk_queue *queue,
                                           struct reframer_dpdk_stats *out)
{
	reframer_dpdk_stats_get(queue, out, sizeof(*out));
}

/**
 * A source node of librte_graph that polls the queue and hands what is due to `next`. Call it
 * before rte_graph_create(); the node's name is "reframer_rx-PORT-QUEUE".
 * @return 0 and the node's id, -EEXIST, -ENOENT (no node of the name `next`), -ENOMEM.
 */
int reframer_dpdk_graph_node(struct reframer_dpdk_queue *queue, const char *next, uint32_t *node);

/* ---- Telemetry: read by dpdk-telemetry.py and `reframer top` ---- */

/**
 * Registers /reframer/list, /reframer/stats,PORT,QUEUE, /reframer/histogram,PORT,QUEUE,
 * /rsspp/list, /rsspp/table,PORT, /conntrack/list and /conntrack/stats,NAME. Commands show the
 * objects that exist when they are asked. Once a process; later calls do nothing. @return 0 or the
 * error of DPDK.
 */
int reframer_dpdk_telemetry(void);

/* ---- Flow tracking of mbuf bursts (conntrack.h) ---- */

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
 *     rte_eth_add_rx_callback(port, queue, rsspp_rx_callback, rsspp_dpdk_balancer_queue(b, queue));
 * Counts packets by bucket, and the time from a poll that found packets to the next one as load.
 * Add it before reframer_rx_callback(): arrivals are what a table steers.
 */
uint16_t rsspp_rx_callback(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t nb,
                           uint16_t room, void *rsspp_queue);
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

/* ---- A table in software: one core receives and hashes, the others get a ring each ---- */

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
