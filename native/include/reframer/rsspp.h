/**
 * RSS++: share the load of receive cores by rewriting the NIC's RSS indirection table (RETA).
 *
 * Published as "RSS++: load and state-aware receive side scaling" (CoNEXT'19). A RETA entry is a
 * *bucket*; its *owner* is the core whose queue it names. Once an epoch (default 100 ms, 10 ms
 * while a core is busy) the caller passes packet counters per bucket and load per core; the
 * balancer answers with the buckets that should change owner. Writing the table and handing flow
 * state over are the caller's (see the migration part of this header).
 *
 * Thread safety: none; one balancer per port, called from one thread, off the packet path.
 * Memory: allocated at create.
 * Errors: negative errno values; rsspp_balancer_check() and rsspp_handover_check() put -EINVAL into
 * words. A null pointer where one is needed is refused: -EINVAL, 0 or nothing done, as the function
 * returns; so are cores and buckets that there are not. Undefined are pointers to what is no such
 * object or is freed already, and arrays that are shorter than the numbers that come with them; a
 * debug build of the library ends at numbers beyond 2^24.
 *
 * Versions: see version.h. struct rsspp_move never changes; the others grow at their end, and the
 * inline functions below tell the library by how much.
 */
#ifndef REFRAMER_RSSPP_H
#define REFRAMER_RSSPP_H

#include <reframer/version.h>

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
	/**
	 * The greedy of the RSS++ authors with its defects mended: biggest bucket of the most loaded
	 * core to the least loaded one, ten passes of growing slack.
	 */
	RSSPP_GREEDY = 1,
	/**
	 * Water-filling target, best-fit moves and swaps between hottest and coldest core, moves that
	 * did not help taken back.
	 */
	RSSPP_OURS = 2,
	/** Longest processing time first, from scratch: near-optimal load, most buckets move. */
	RSSPP_LPT = 3,
	/**
	 * Smallest possible worst core by branch and bound, then fewest moves; for small cases, -E2BIG
	 * beyond its node budget.
	 */
	RSSPP_EXACT = 4,
};

/** One assignment problem; all arrays are the caller's. */
struct rsspp_problem {
	/** 1..RSSPP_MAX_BUCKETS */
	uint32_t nb_buckets;
	/** 1..RSSPP_MAX_CORES; ids of cores are 0..nb_cores-1 */
	uint32_t nb_cores;
	/** [nb_buckets], >= 0; unit: one core's capacity is 1 */
	const float *bucket_load;
	/** [nb_buckets], current owner; may name an inactive core: such buckets always move */
	const uint16_t *owner;
	/** [nb_cores], non-zero takes buckets; NULL: all do */
	const uint8_t *active;
	/** [nb_buckets], non-zero must not move now (its last migration is under way); NULL: none */
	const uint8_t *pinned;
	/** [nb_cores], NUMA node of each core; NULL: one node */
	const uint16_t *node;
	/**
	 * How far above the lower bound a core may stay, as a share of the bound; 0 means the default
	 * 0.009: just inside the 1 % by which a solution is judged, since closer costs moves
	 */
	float tolerance;
	/**
	 * Gain, as a share of the mean, below which no bucket changes its node; 0 means the default
	 * 0.05
	 */
	float node_penalty;
};

struct rsspp_solution {
	/** max(mean of active cores, heaviest bucket): no assignment can do better */
	float lower_bound;
	float mean;
	float worst_before, least_before;
	float worst_after, least_after;
	/** Buckets whose owner changed */
	uint32_t nb_moves;
	/** Buckets heavier than a fair share: each gets a core of its own, as far as there are cores */
	uint32_t nb_elephants;
	/** Work done: passes, moves tried or nodes, by method */
	uint32_t passes;
};

struct rsspp_solver;

/** Preallocates for the given sizes. @return 0, -EINVAL, -ENOMEM. */
int rsspp_solver_create(uint32_t max_buckets, uint32_t max_cores, struct rsspp_solver **out);
void rsspp_solver_free(struct rsspp_solver *solver);
/** What rsspp_solve() calls, with the sizes of the caller's structs. */
int rsspp_solve_sized(struct rsspp_solver *solver, enum rsspp_method method,
                      const struct rsspp_problem *problem, size_t problem_size, uint16_t *new_owner,
                      struct rsspp_solution *solution, size_t solution_size);
/**
 * Solves one epoch. `new_owner` [nb_buckets] gets the answer; it may be the same array as `owner`.
 * @return 0, -EINVAL (sizes, no active core, negative or non-finite load), -E2BIG (RSSPP_EXACT
 *   only).
 */
static inline int rsspp_solve(struct rsspp_solver *solver, enum rsspp_method method,
                              const struct rsspp_problem *problem, uint16_t *new_owner,
                              struct rsspp_solution *solution)
{
	return rsspp_solve_sized(solver, method, problem, sizeof(*problem), new_owner, solution,
	                         sizeof(*solution));
}

/* ---- The balancer: counters and loads in, moves out, once an epoch ---- */

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

/* ---- Hand-over: a bucket's flow state changes core without locks, loss or reordering ---- */

/**
 * State of a bucket's flows belongs to one core, its owner. A move goes like this:
 *  1. rsspp_handover_begin() for every moved bucket: the gaining core will hold, not process.
 *  2. The caller writes the indirection table.
 *  3. rsspp_handover_written(): losing cores take a watermark of their RX queue.
 *  4. A losing core that has processed all that was in its queue is told so by
 *     rsspp_handover_poll(). It lets Reframer release the bucket's packets, processes them, and
 *     calls rsspp_handover_release(): from then on the state is the gaining core's.
 *  5. The gaining core gets the packets that it held, in order, then the new ones.
 * A packet that reaches a core that neither owns nor gains its bucket is forwarded to the owner.
 *
 * Step 4 takes as long as the queue takes to be served: milliseconds on an overloaded core. A core
 * that calls rsspp_handover_draining() and rsspp_handover_absorb() shortens it to one pass over the
 * queue: it takes everything out without service, sets the moved buckets' packets aside for the
 * gaining core, which gets them first, and serves the rest later, in order, from its backlog:
 *
 *     while (rsspp_handover_draining(h, core)) {
 *             n = receive(burst);                     // may be 0
 *             received += taken = rsspp_handover_absorb(h, core, burst, hashes, n);
 *             if (rsspp_handover_poll(h, core, received, queue_length, buckets) > 0)
 *                     ... as in 4, rsspp_handover_release(h, core);
 *             else if (n == 0 || taken < n)
 *                     break;                          // serve, and go on at the next poll
 *     }
 *
 * A move may be announced by rsspp_handover_prepare(), some time before step 1. The losing core
 * then does such a pass while the bucket is still its own, for as long as
 * rsspp_handover_preparing() says so, in the same loop; admit gives out the bucket's packets before
 * all others. Once rsspp_handover_prepared() says that few are left, begin, write and written
 * should follow at once: the pass after them is over a queue that is nearly empty, and nothing of
 * the bucket waits for service before it, so that the packets at the gaining core are held for
 * hardly more than one poll of each core, however loaded the losing one is.
 *
 * Where the device refused to write an entry, rsspp_handover_cancel() between begin and written
 * takes that move back: owner and device agree again. Without it packets go on by the old entry and
 * are forwarded to the new owner, in order only until the bucket is moved once more.
 *
 * Meanwhile the core may have up to hold_capacity packets inside. One that receives nothing while
 * it has a backlog of a burst or more (rsspp_handover_backlog()) has at most one more queue of
 * them.
 *
 * Flow state that is kept per bucket outside, say in conntrack tables with groups: the losing core
 * takes it out between poll and release, the gaining core puts it in when rsspp_handover_gained()
 * names the bucket, before it processes what admit gave it.
 *
 * Cores are roles, not threads: the role of a core that died is played by any one thread, which
 * polls the dead core's queue and memory beside its own until its buckets have moved.
 *
 * Thread safety: begin, written and in_progress belong to one balancer thread; functions with a
 * `core` argument to the thread that plays this core; different cores run in parallel. Neither
 * locks nor allocates.
 */
struct rsspp_handover;

struct rsspp_handover_params {
	/** sizeof(struct rsspp_handover_params), set by the defaults */
	size_t size;
	/** Power of two: bucket = hash & (nb_buckets - 1) */
	uint32_t nb_buckets;
	uint32_t nb_cores;
	/**
	 * Packets that a core can hold; default 65536. Not less than the packet buffers that there are:
	 * then it never runs out. With less, cores that gain buckets from each other while their memory
	 * is full may wait for each other
	 */
	uint32_t hold_capacity;
	/** Packets on their way to a core, power of two; default 1024 */
	uint32_t forward_capacity;
	/** First table [nb_buckets], copied; NULL: bucket i to core i mod nb_cores */
	const uint16_t *owner;
};

struct rsspp_handover_stats {
	/** Packets; refused were left with the caller */
	uint64_t admitted, held, forwarded, refused;
	/** Buckets that this core gave up */
	uint64_t moves;
	/** Packets that this core set aside for gaining cores */
	uint64_t handed_over;
	/**
	 * Packets that others had set aside for this one; over all cores the difference is on its way
	 */
	uint64_t taken_over;
	/** Packets inside, backlog included */
	uint32_t held_now, held_max;
};

/** What rsspp_handover_default_params() calls: writes `size` bytes, no more. */
void rsspp_handover_params_init(struct rsspp_handover_params *params, size_t size);
/** Fills in the defaults, as far as the caller's header knows members. */
static inline void rsspp_handover_default_params(struct rsspp_handover_params *params)
{
	rsspp_handover_params_init(params, sizeof(*params));
}
/** As rsspp_balancer_check(). */
int rsspp_handover_check(const struct rsspp_handover_params *params, char *why, size_t n);
/** @return 0, -EINVAL (see rsspp_handover_check()), -ENOMEM. */
int rsspp_handover_create(const struct rsspp_handover_params *params, struct rsspp_handover **out);
/** Frees the object, not the packets that cores still hold. */
void rsspp_handover_free(struct rsspp_handover *handover);

/**
 * Balancer: announces that a bucket will leave its owner; rsspp_handover_begin() ends it. Optional.
 * @return 0, -EBUSY (it is moving, or announced already), -EAGAIN (the core's mailbox is full),
 *   -EINVAL.
 */
int rsspp_handover_prepare(struct rsspp_handover *handover, uint32_t bucket);
/**
 * Balancer: 1 once the bucket's owner has hardly any packets of it left. That is never so while the
 * bucket alone brings more than its core can serve, or the core does no passes: wait for a bounded
 * time.
 */
int rsspp_handover_prepared(const struct rsspp_handover *handover, uint32_t bucket);
/**
 * Balancer: starts a move.
 * @return 0, -EBUSY (this bucket is moving), -EAGAIN (the core's mailbox is full), -EINVAL.
 */
int rsspp_handover_begin(struct rsspp_handover *handover, uint32_t bucket, uint16_t to);
/**
 * Balancer: the device did not write this entry: the move begun since the last written does not
 * take place.
 * @return 0, -EINVAL (no such move).
 */
int rsspp_handover_cancel(struct rsspp_handover *handover, uint32_t bucket);
/** Balancer: the table with all moves begun so far is in force. */
void rsspp_handover_written(struct rsspp_handover *handover);
/** Balancer: moves begun and not finished. */
uint32_t rsspp_handover_in_progress(const struct rsspp_handover *handover);
/** Current owner of a bucket. Any thread. */
uint16_t rsspp_handover_owner(const struct rsspp_handover *handover, uint32_t bucket);
/**
 * Packets of every bucket that admit gave out to be processed, at any core, monotonic: input of
 * rsspp_balancer_step(). Any thread.
 */
void rsspp_handover_counters(const struct rsspp_handover *handover, uint64_t *packets);

/**
 * Core: passes a received burst through. `out` gets what this core may process now, in order; the
 * rest is held or forwarded. Call it with nb = 0 after an empty poll too: it gives out what was
 * held.
 * @param hashes the RSS hash of each packet; out_hashes the same for `out`; room >= nb.
 * @param nb_out packets written to `out`.
 * @return packets taken from the front; fewer than nb only when hold_capacity or `out` is full: the
 *         others stay with the caller, who offers them again before he polls.
 */
uint32_t rsspp_handover_admit(struct rsspp_handover *handover, uint16_t core, void *const *packets,
                              const uint32_t *hashes, uint32_t nb, void **out, uint32_t *out_hashes,
                              uint32_t room, uint32_t *nb_out);
/**
 * Core: after a poll, which buckets it must give up now.
 * @param received packets of its RX queue that this core has had admitted since it started, all of
 *        them processed, held or in Reframer.
 * @param queue_length packets waiting in its RX queue, read after the last receive call, refused
 *        ones included. From a port that cannot tell: RSSPP_QUEUE_EMPTY if that call found nothing
 *        and nothing is left over, else RSSPP_QUEUE_UNKNOWN; two empty ones prove that it is
 *        drained.
 * @param buckets room for nb_buckets. @return their number; follow with rsspp_handover_release().
 */
uint32_t rsspp_handover_poll(struct rsspp_handover *handover, uint16_t core, uint64_t received,
                             int64_t queue_length, uint16_t *buckets);
#define RSSPP_QUEUE_UNKNOWN (-1)
#define RSSPP_QUEUE_EMPTY (-2)
/**
 * Core: 1 while a bucket is to leave whose packets may still be in the RX queue: see above. Before
 * the queue's length is read.
 */
int rsspp_handover_draining(struct rsspp_handover *handover, uint16_t core);
/**
 * Core: 1 while a pass over the RX queue is due for buckets that are announced to leave. Before the
 * queue's length is read.
 */
int rsspp_handover_preparing(struct rsspp_handover *handover, uint16_t core);
/**
 * Core: takes a received burst in without giving anything out. @return packets taken from the
 * front; fewer than nb when hold_capacity is reached: the others are offered again, here or to
 * admit.
 */
uint32_t rsspp_handover_absorb(struct rsspp_handover *handover, uint16_t core, void *const *packets,
                               const uint32_t *hashes, uint32_t nb);
/** Core: packets that absorb took and admit has not given out yet, but for those set aside. */
uint32_t rsspp_handover_backlog(const struct rsspp_handover *handover, uint16_t core);
/**
 * Core: buckets that have become this core's since the last call; after admit, before its output is
 * processed. @param buckets room for nb_buckets. @return their number.
 */
uint32_t rsspp_handover_gained(struct rsspp_handover *handover, uint16_t core, uint16_t *buckets);
/** Core: Reframer has released these buckets' packets and they are processed. */
void rsspp_handover_release(struct rsspp_handover *handover, uint16_t core);
/** What rsspp_handover_get_stats() calls: writes `size` bytes, no more. */
void rsspp_handover_stats_get(const struct rsspp_handover *handover, uint16_t core,
                              struct rsspp_handover_stats *out, size_t size);
/** By the thread that plays the core, or when that has stopped. */
static inline void rsspp_handover_get_stats(const struct rsspp_handover *handover, uint16_t core,
                                            struct rsspp_handover_stats *out)
{
	rsspp_handover_stats_get(handover, core, out, sizeof(*out));
}

#ifdef __cplusplus
}
#endif
#endif
