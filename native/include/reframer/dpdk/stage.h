/**
 * Reframer on an RX queue. One object a queue, used by the core that polls the queue.
 *
 * Errors, null pointers and versions: see dpdk.h.
 */
#ifndef REFRAMER_DPDK_STAGE_H
#define REFRAMER_DPDK_STAGE_H

#include <reframer/reframer.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rte_mbuf;
struct rte_mempool;

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
 * poll releases too. Multi-segment packets are held whole. Receives no more than reframer_room()
 * allows: while the program is short of time, packets wait in the port's ring and not here.
 * @return packets in the array, at most nb.
 */
uint16_t reframer_dpdk_rx_burst(struct reframer_dpdk_queue *queue, struct rte_mbuf **packets,
                                uint16_t nb);
/**
 * The same as an RX callback, for a program whose receive loop stays as it is:
 *     rte_eth_add_rx_callback(port, queue, reframer_dpdk_rx_callback, q);
 * Never writes beyond the caller's array: what does not fit stays held. A callback comes when
 * packets have been received, and cannot leave them in the ring as reframer_dpdk_rx_burst() does;
 * what is held does not grow, though, while more is due than fits. Remove it, and drain, before the
 * object is closed. Callbacks added earlier see packets as they arrive, later ones as they leave.
 */
uint16_t reframer_dpdk_rx_callback(uint16_t port, uint16_t queue, struct rte_mbuf **packets,
                                   uint16_t nb, uint16_t room, void *q);
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
/**
 * The stage inside, for reframer_set_policy() and its like, by the polling core; and for
 * reframer_hold_histogram(), by any thread.
 */
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

#ifdef __cplusplus
}
#endif
#endif
