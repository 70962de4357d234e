/** Hand-over: a bucket's flow state changes core without locks, loss or reordering; see rsspp.h. */
#ifndef REFRAMER_RSSPP_HANDOVER_H
#define REFRAMER_RSSPP_HANDOVER_H

#include <reframer/rsspp/solver.h>

#ifdef __cplusplus
extern "C" {
#endif

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
