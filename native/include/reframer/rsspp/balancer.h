/** The balancer: counters and loads in, moves out, once an epoch; see rsspp.h. */
#ifndef REFRAMER_RSSPP_BALANCER_H
#define REFRAMER_RSSPP_BALANCER_H

#include <reframer/rsspp/solver.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rsspp_balancer_params {
	/** sizeof(struct rsspp_balancer_params), set by the defaults */
	size_t size;
	/** RETA size; default 512, what the authors ran on DPDK */
	uint32_t nb_buckets;
	/** All cores that may be used */
	uint32_t nb_cores;
	/** enum rsspp_method; default RSSPP_OURS */
	uint32_t method;
	/** Autoscale keeps at least these; default 1 */
	uint32_t min_cores;
	/** 0: all cores stay active (default); 1: as many as the target needs */
	uint32_t autoscale;
	/** Autoscale aims here; default 0.8, the authors' */
	float target_load;
	/**
	 * Hysteresis: nothing moves unless the worst core gets lighter by this share of the bound, or
	 * the least loaded one heavier by twice this share of the mean; default 0.02, the authors'.
	 * Where the last epochs were foretold more closely than that, so much less is enough
	 */
	float threshold;
	/**
	 * 0..1, weight of a bucket's last change in its prediction; default 0: on campus traffic the
	 * next 100 ms are the last ones plus noise, and a trend added to the imbalance (reframer-lab
	 * bench-rsspp)
	 */
	float trend;
	/**
	 * 0..1, weight of the newest count in the moving average per bucket; default 1, no average: on
	 * campus traffic an average halves the moves and doubles the imbalance
	 */
	float smoothing;
	/**
	 * Least one; as rsspp_problem. The balancer widens it, up to 0.05, to the error with which it
	 * foretold the last epochs: levelling finer than that costs moves and brings nothing
	 */
	float tolerance;
	/** As rsspp_problem */
	float node_penalty;
	/**
	 * Epochs for which a moved bucket stays where it is; default 0: a hold of one, as the authors
	 * have, raised the imbalance on campus traffic and saved no moves
	 */
	uint32_t hold_epochs;
	/**
	 * Autoscale: epochs of interval_us in a row that must agree before a core is given back;
	 * default 10, a second: with half of it noise gave back cores that the next second needed
	 */
	uint32_t shrink_epochs;
	/**
	 * Epoch; 1 to 3.6e9, default 100000, the authors'. The balancer has no clock: it says by
	 * next_epoch_us when the next step is due
	 */
	uint32_t interval_us;
	/**
	 * Epoch while a core is above a load of 0.9, and for a second after; 1 to interval_us, default
	 * 10000: drops and latency fall several times. interval_us where a table write disturbs
	 * reception. Not while autoscale could still add a core
	 */
	uint32_t busy_interval_us;
	/** [nb_cores], copied; NULL: one node */
	const uint16_t *node;
};

struct rsspp_move {
	uint16_t bucket, from, to;
	uint16_t reserved;
};

struct rsspp_epoch {
	/** [nb_buckets] monotonic counters, never reset; the balancer takes differences */
	const uint64_t *packets;
	/** [nb_cores] useful cycles / all cycles since the last epoch, 0..1 */
	const float *core_load;
	/** [nb_cores] RX queue occupancy 0..1; ranks cores whose load is clipped at 1; NULL: unknown */
	const float *queue_fill;
	/**
	 * [nb_cores] packets received or in the RX queue and not yet served: what a clipped core has to
	 * make up for. Used instead of queue_fill to weigh such cores; NULL: unknown
	 */
	const uint64_t *waiting;
};

struct rsspp_report {
	/**
	 * (max - min) / min of active cores, measured in the epoch that ended; capped at 2000 as
	 * published
	 */
	float imbalance_before_percent;
	/** The same, predicted */
	float imbalance_after_percent;
	/** Active cores from now on */
	uint32_t nb_active;
	/**
	 * Active cores at full load, with packets waiting as far as that is known: a shorter epoch pays
	 * now
	 */
	uint32_t nb_overloaded;
	/** Added (positive) or given back (negative) in this epoch */
	int32_t cores_changed;
	/** When the next step is due: interval_us or busy_interval_us */
	uint32_t next_epoch_us;
	/** Time that this call took */
	uint64_t solve_ns;
	/** Number of this epoch, from 1 */
	uint64_t epoch;
	/** 0 */
	uint64_t reserved[4];
	/** Last, since it may grow */
	struct rsspp_solution solution;
};

struct rsspp_balancer;

/** What rsspp_balancer_default_params() calls: writes `size` bytes, no more. */
void rsspp_balancer_params_init(struct rsspp_balancer_params *params, size_t size);
/** Fills in the defaults, as far as the caller's header knows members. */
static inline void rsspp_balancer_default_params(struct rsspp_balancer_params *params)
{
	rsspp_balancer_params_init(params, sizeof(*params));
}
/**
 * Says what is wrong with parameters: "nb_cores is 0, must be 1 to 256".
 * @param why room for `n` bytes, 128 are enough; gets an empty string if nothing is wrong. May be
 *   NULL.
 * @return 0 or -EINVAL, as rsspp_balancer_create() would.
 */
int rsspp_balancer_check(const struct rsspp_balancer_params *params, char *why, size_t n);
/**
 * The first table is bucket i on core i mod nb_cores (active ones).
 * @return 0, -EINVAL, -ENOMEM.
 */
int rsspp_balancer_create(const struct rsspp_balancer_params *params, struct rsspp_balancer **out);
void rsspp_balancer_free(struct rsspp_balancer *balancer);
/** Takes over a table that the device already has. @return 0 or -EINVAL. */
int rsspp_balancer_set_table(struct rsspp_balancer *balancer, const uint16_t *owner);
/** The table as the balancer has decided it. [nb_buckets], valid until the next call. */
const uint16_t *rsspp_balancer_table(const struct rsspp_balancer *balancer);
/** What rsspp_balancer_step() calls, with the sizes of the caller's structs. */
int rsspp_balancer_step_sized(struct rsspp_balancer *balancer, const struct rsspp_epoch *epoch,
                              size_t epoch_size, struct rsspp_move *moves,
                              struct rsspp_report *report, size_t report_size);
/**
 * Ends an epoch. The first call only takes the counters as a base.
 * @param moves room for nb_buckets moves. @return number of moves, or -EINVAL.
 */
static inline int rsspp_balancer_step(struct rsspp_balancer *balancer,
                                      const struct rsspp_epoch *epoch, struct rsspp_move *moves,
                                      struct rsspp_report *report)
{
	return rsspp_balancer_step_sized(balancer, epoch, sizeof(*epoch), moves, report,
	                                 sizeof(*report));
}
/**
 * A core that died or must be emptied: its buckets go to the others at the next step.
 * @return 0 or -EINVAL (unknown, or the last one).
 */
int rsspp_balancer_remove_core(struct rsspp_balancer *balancer, uint16_t core);
int rsspp_balancer_restore_core(struct rsspp_balancer *balancer, uint16_t core);
/** A table write failed: the listed moves did not happen. */
int rsspp_balancer_reject(struct rsspp_balancer *balancer, const struct rsspp_move *moves,
                          uint32_t nb_moves);

#ifdef __cplusplus
}
#endif
#endif
