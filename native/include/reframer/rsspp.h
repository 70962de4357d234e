/**
 * RSS++: share the load of receive cores by rewriting the NIC's RSS indirection table (RETA).
 *
 * Published as "RSS++: load and state-aware receive side scaling" (CoNEXT'19). A RETA entry is a
 * *bucket*; its *owner* is the core whose queue it names. Once an epoch (default 100 ms) the caller
 * passes packet counters per bucket and load per core; the balancer answers with the buckets that
 * should change owner. Writing the table and handing flow state over are the caller's (see the
 * migration part of this header).
 *
 * Thread safety: none; one balancer per port, called from one thread, off the packet path.
 * Memory: allocated at create. Errors: negative errno values.
 */
#ifndef REFRAMER_RSSPP_H
#define REFRAMER_RSSPP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Sizes of RETA that are taken: 2..RSSPP_MAX_BUCKETS; NICs have 64..4096. */
#define RSSPP_MAX_BUCKETS 4096
#define RSSPP_MAX_CORES 256

enum rsspp_method {
	/** Never moves a bucket: plain RSS. */
	RSSPP_STATIC = 0,
	/** The greedy of the RSS++ authors with its defects mended: biggest bucket of the most loaded core to the least loaded one, ten passes of growing slack. */
	RSSPP_GREEDY = 1,
	/** Water-filling target, best-fit moves and swaps between hottest and coldest core, moves that did not help taken back. */
	RSSPP_OURS = 2,
	/** Longest processing time first, from scratch: near-optimal load, most buckets move. */
	RSSPP_LPT = 3,
	/** Smallest possible worst core by branch and bound, then fewest moves; for small cases, -E2BIG beyond its node budget. */
	RSSPP_EXACT = 4,
};

/** One assignment problem; all arrays are the caller's. */
struct rsspp_problem {
	uint32_t nb_buckets;         /**< 1..RSSPP_MAX_BUCKETS */
	uint32_t nb_cores;           /**< 1..RSSPP_MAX_CORES; ids of cores are 0..nb_cores-1 */
	const float *bucket_load;    /**< [nb_buckets], >= 0; unit: one core's capacity is 1 */
	const uint16_t *owner;       /**< [nb_buckets], current owner; may name an inactive core: such buckets always move */
	const uint8_t *active;       /**< [nb_cores], non-zero takes buckets; NULL: all do */
	const uint8_t *pinned;       /**< [nb_buckets], non-zero must not move now (its last migration is under way); NULL: none */
	const uint16_t *node;        /**< [nb_cores], NUMA node of each core; NULL: one node */
	float tolerance;             /**< how far above the lower bound a core may stay, as a share of the bound; 0 means the default 0.009: just inside the 1 % by which a solution is judged, since closer costs moves */
	float node_penalty;          /**< gain, as a share of the mean, below which no bucket changes its node; 0 means the default 0.05 */
};

struct rsspp_solution {
	float lower_bound;           /**< max(mean of active cores, heaviest bucket): no assignment can do better */
	float mean;
	float worst_before, least_before;
	float worst_after, least_after;
	uint32_t nb_moves;           /**< buckets whose owner changed */
	uint32_t nb_elephants;       /**< buckets heavier than a fair share: each gets a core of its own, as far as there are cores */
	uint32_t passes;             /**< work done: passes, moves tried or nodes, by method */
};

struct rsspp_solver;

/** Preallocates for the given sizes. @return 0, -EINVAL, -ENOMEM. */
int rsspp_solver_create(uint32_t max_buckets, uint32_t max_cores, struct rsspp_solver **out);
void rsspp_solver_free(struct rsspp_solver *solver);
/**
 * Solves one epoch. `new_owner` [nb_buckets] gets the answer; it may be the same array as `owner`.
 * @return 0, -EINVAL (sizes, no active core, negative or non-finite load), -E2BIG (RSSPP_EXACT only).
 */
int rsspp_solve(struct rsspp_solver *solver, enum rsspp_method method,
                const struct rsspp_problem *problem, uint16_t *new_owner,
                struct rsspp_solution *solution);

/* ---- The balancer: counters and loads in, moves out, once an epoch ---- */

struct rsspp_balancer_params {
	size_t size;                 /**< sizeof(struct rsspp_balancer_params), set by the defaults */
	uint32_t nb_buckets;         /**< RETA size; default 512, what the authors ran on DPDK */
	uint32_t nb_cores;           /**< all cores that may be used */
	uint32_t method;             /**< enum rsspp_method; default RSSPP_OURS */
	uint32_t min_cores;          /**< autoscale keeps at least these; default 1 */
	uint32_t autoscale;          /**< 0: all cores stay active (default); 1: as many as the target needs */
	float target_load;           /**< autoscale aims here; default 0.8, the authors' */
	float threshold;             /**< hysteresis: nothing moves unless the worst core gets lighter by this share of the bound, or the least loaded one heavier by twice this share of the mean; default 0.02, the authors' */
	float trend;                 /**< 0..1, weight of a bucket's last change in its prediction; default 0: on campus traffic the next 100 ms are the last ones plus noise, and a trend added to the imbalance (reframer-lab bench-rsspp) */
	float smoothing;             /**< 0..1, weight of the newest count in the moving average per bucket; default 1, no average: on campus traffic an average halves the moves and doubles the imbalance */
	float tolerance;             /**< as rsspp_problem */
	float node_penalty;          /**< as rsspp_problem */
	uint32_t hold_epochs;        /**< epochs for which a moved bucket stays where it is; default 1 */
	uint32_t shrink_epochs;      /**< autoscale: epochs in a row that must agree before a core is given back; default 5 */
	const uint16_t *node;        /**< [nb_cores], copied; NULL: one node */
};

struct rsspp_move {
	uint16_t bucket, from, to;
	uint16_t reserved;
};

struct rsspp_epoch {
	const uint64_t *packets;     /**< [nb_buckets] monotonic counters, never reset; the balancer takes differences */
	const float *core_load;      /**< [nb_cores] useful cycles / all cycles since the last epoch, 0..1 */
	const float *queue_fill;     /**< [nb_cores] RX queue occupancy 0..1; ranks cores whose load is clipped at 1; NULL: unknown */
};

struct rsspp_report {
	struct rsspp_solution solution;
	float imbalance_before_percent; /**< (max - min) / min of active cores, measured in the epoch that ended; capped at 2000 as published */
	float imbalance_after_percent;  /**< the same, predicted */
	uint32_t nb_active;          /**< active cores from now on */
	int32_t cores_changed;       /**< added (positive) or given back (negative) in this epoch */
	uint64_t solve_ns;           /**< time that this call took */
	uint64_t epoch;              /**< number of this epoch, from 1 */
};

struct rsspp_balancer;

void rsspp_balancer_default_params(struct rsspp_balancer_params *params);
/** The first table is bucket i on core i mod nb_cores (active ones). @return 0, -EINVAL, -ENOMEM. */
int rsspp_balancer_create(const struct rsspp_balancer_params *params, struct rsspp_balancer **out);
void rsspp_balancer_free(struct rsspp_balancer *balancer);
/** Takes over a table that the device already has. @return 0 or -EINVAL. */
int rsspp_balancer_set_table(struct rsspp_balancer *balancer, const uint16_t *owner);
/** The table as the balancer has decided it. [nb_buckets], valid until the next call. */
const uint16_t *rsspp_balancer_table(const struct rsspp_balancer *balancer);
/**
 * Ends an epoch. The first call only takes the counters as a base.
 * @param moves room for nb_buckets moves. @return number of moves, or -EINVAL.
 */
int rsspp_balancer_step(struct rsspp_balancer *balancer, const struct rsspp_epoch *epoch,
                        struct rsspp_move *moves, struct rsspp_report *report);
/** A core that died or must be emptied: its buckets go to the others at the next step. @return 0 or -EINVAL (unknown, or the last one). */
int rsspp_balancer_remove_core(struct rsspp_balancer *balancer, uint16_t core);
int rsspp_balancer_restore_core(struct rsspp_balancer *balancer, uint16_t core);
/** A table write failed: the listed moves did not happen. */
int rsspp_balancer_reject(struct rsspp_balancer *balancer, const struct rsspp_move *moves, uint32_t nb_moves);

#ifdef __cplusplus
}
#endif
#endif
