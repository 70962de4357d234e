/**
 * Connection tracking by several threads in one table: the shared form of the table in conntrack.h.
 *
 * Use it where packets of one flow may come to any core (tunnels, a NIC without RSS, one state for
 * both directions under an asymmetric hash). Where the NIC keeps flows on their cores, one table a
 * core (conntrack.h) is faster and needs none of this.
 *
 * States: the table hands out no pointers. Calls copy states out, copy initial states in, or run a
 * callback on a state while its bucket is locked; so every thread may use every flow, and nothing
 * that a caller holds can go stale. A copy is consistent: it is the state between two changes.
 *
 * Thread safety: all functions may be called by any number of threads at once, except
 * conntrack_shared_free(), which must be the last. A thread handle belongs to one thread at a time;
 * it may be passed on (with release/acquire). Every operation on a key takes effect at one instant
 * between call and return (linearizable), one by one: a burst is not one transaction. A thread's
 * own operations take effect in order.
 *
 * How (sequence locks, one a bucket):
 * - A bucket is one cache line of tags, deadlines and a version. Writers make the version odd by
 *   compare-and-swap, change what they need and add 1. Readers take an even version, read, and
 *   start again if the version is another one by then. They store nothing but a flow's deadline,
 *   once a tick.
 * - A key belongs to its home bucket: to insert, remove or move it takes the home's lock, wherever
 *   the entry lies (home, or up to 31 buckets further on where home is full; then the lock of that
 *   bucket as well, always in ascending order, so locks cannot deadlock). A reader that finds the
 *   key validates the bucket it found it in; a reader that does not validates the home, which
 *   proves that the key was neither inserted nor moved meanwhile.
 * - Memory order: table bytes are read with acquire and written with release atomics of at most 8
 *   bytes. A reader that saw one byte of a writer's change synchronises with it, so its second look
 *   at the version sees the odd value, or a later one, and the read is thrown away. A first look
 *   that sees an even version synchronises with the unlock that stored it, so it reads everything
 *   that writer wrote. On x86 all of these are plain loads and stores.
 * - Growth moves home by home into a larger generation; inserting threads share the work. A moved
 *   home says so in its version, readers go on to the next generation. The old one is freed once
 *   every thread that was inside a call has left it; threads between calls hold up nothing.
 *
 * Growth maps memory (one mmap() on the thread that needs it). Where a walk by
 * conntrack_shared_iterate() keeps a full table from growing, inserts without room wait for its
 * end; so they do where a thread that moves a home is preempted, and the larger generation is
 * nearly full meanwhile.
 *
 * A thread that is preempted inside a change keeps the others from that one bucket; readers and
 * writers of other buckets go on. So this is not lock-free in the word's strict sense.
 *
 * Time: as in conntrack.h. The table's time is the latest that any thread has brought. A clock that
 * leaps more than 8192 ticks, or a table that nobody swept for as long, stops all threads between
 * two calls for one exact sweep.
 *
 * Errors: functions that can fail return a negative errno value; null pointers and counts as in
 * conntrack.h.
 */
#ifndef REFRAMER_CONNTRACK_SHARED_H
#define REFRAMER_CONNTRACK_SHARED_H

#include "reframer/conntrack.h"

#ifdef __cplusplus
extern "C" {
#endif

struct conntrack_shared;
struct conntrack_thread;

/** Thread handles that a table has to give. */
#define CONNTRACK_SHARED_THREADS 256

/**
 * Parameters as for conntrack_create(), with these differences: tick_ns is at least 10^6 (a thread
 * must not be preempted for 2^14 ticks inside a call), nb_groups is 1, CONNTRACK_NIC_HASH and
 * CONNTRACK_SYMMETRIC are not there (conntrack_key_symmetric() makes one key of both directions),
 * and on_removed is called with a bucket locked, by whichever thread removes. `max_flows` may be
 * fallen short of by up to 64 a thread: threads keep places in reserve.
 * @return 0, -EINVAL (see conntrack_shared_check()), -ENOMEM.
 */
int conntrack_shared_create(const struct conntrack_params *params, struct conntrack_shared **out);
/** As conntrack_check(), for a shared table. */
int conntrack_shared_check(const struct conntrack_params *params, char *why, size_t n);
/** Frees the table and all its handles without calling on_removed. NULL is harmless. */
void conntrack_shared_free(struct conntrack_shared *t);

/** @return a handle for one thread, NULL if all CONNTRACK_SHARED_THREADS are taken. */
struct conntrack_thread *conntrack_shared_thread_create(struct conntrack_shared *t);
/** Gives a handle back; its counters stay in the table's. NULL is harmless. */
void conntrack_shared_thread_free(struct conntrack_thread *thread);

/**
 * Hashes keys and prefetches their first lines, ahead of the calls that take digests. Digests stay
 * valid for the life of the table.
 */
void conntrack_shared_digest_burst(struct conntrack_thread *thread, const void *keys,
                                   uint32_t count, uint64_t *digests);

/**
 * Looks `count` keys up and refreshes those that it finds.
 * @param digests of these keys; NULL: computed here.
 * @param states out: `count` states of state_size bytes each; those not found stay as they are.
 *   NULL: not wanted.
 * @param found out: 1 or 0 for each key.
 * @return keys found.
 */
uint32_t conntrack_shared_find_burst(struct conntrack_thread *thread, const void *keys,
                                     const uint64_t *digests, uint32_t count, uint64_t now_ns,
                                     void *states, uint8_t *found);

/** Result of an insert that found no room. */
#define CONNTRACK_SHARED_REFUSED 0xff

/**
 * As conntrack_shared_find_burst(), and inserts what is missing, in order.
 * @param states in and out: what a new flow starts with, and then what the flow's state is.
 * @param results out for each key: 0 known, CONNTRACK_NEW inserted, CONNTRACK_SHARED_REFUSED.
 * @return keys that have an entry now.
 */
uint32_t conntrack_shared_find_or_insert_burst(struct conntrack_thread *thread, const void *keys,
                                               const uint64_t *digests, uint32_t count,
                                               uint64_t now_ns, void *states, uint8_t *results);
/**
 * As conntrack_shared_find_or_insert_burst(), but known flows take the state that is given, too.
 */
uint32_t conntrack_shared_store_burst(struct conntrack_thread *thread, const void *keys,
                                      const uint64_t *digests, uint32_t count, uint64_t now_ns,
                                      const void *states, uint8_t *results);

/**
 * Changes one state. The bucket is locked meanwhile: be short, and do not call into the table.
 * @param index of the key in the burst.
 * @param state a copy, 8-byte aligned; what it holds on return becomes the state.
 * @param timeout_class in and out, 0..CONNTRACK_NB_CLASSES-1; other values are taken for 0.
 * @param is_new 1 if the flow was inserted for this call; its state is zeros.
 */
typedef void (*conntrack_update_fn)(void *context, uint32_t index, void *state,
                                    uint32_t *timeout_class, int is_new);
/**
 * Finds or inserts each key, in order, and runs `update` on its state.
 * @param results as in conntrack_shared_find_or_insert_burst(); may be NULL.
 * @return keys that have an entry now; `update` ran for each of them.
 */
uint32_t conntrack_shared_update_burst(struct conntrack_thread *thread, const void *keys,
                                       const uint64_t *digests, uint32_t count, uint64_t now_ns,
                                       conntrack_update_fn update, void *context, uint8_t *results);

/** @param removed out: 1 or 0 for each key; may be NULL. @return keys removed. */
uint32_t conntrack_shared_remove_burst(struct conntrack_thread *thread, const void *keys,
                                       const uint64_t *digests, uint32_t count, uint64_t now_ns,
                                       uint8_t *removed);

/**
 * Sweeps out dead entries in the next `nb_buckets` buckets (16 entries each); threads that call it
 * share one sweep. Also helps growth along. @return entries expired.
 */
uint32_t conntrack_shared_expire(struct conntrack_thread *thread, uint64_t now_ns,
                                 uint32_t nb_buckets);
/** Buckets a call so that calls every `interval_ns` look at each bucket once a `period_ns`. */
uint32_t conntrack_shared_sweep_budget(struct conntrack_thread *thread, uint64_t interval_ns,
                                       uint64_t period_ns);

/**
 * Calls `visit` with a copy of each live entry; it must not call into the table. An entry that is
 * there all the time is visited exactly once; one that comes or goes meanwhile may be missed.
 * Growth waits meanwhile. @return entries visited.
 */
uint64_t conntrack_shared_iterate(struct conntrack_thread *thread, uint64_t now_ns,
                                  conntrack_visit_fn visit, void *context);

/** What conntrack_shared_get_stats() calls: writes `size` bytes, no more. */
void conntrack_shared_stats_get(const struct conntrack_shared *t, struct conntrack_stats *out,
                                size_t size);
/** Sums of the threads' counters; exact when no thread is inside a call. */
static inline void conntrack_shared_get_stats(const struct conntrack_shared *t,
                                              struct conntrack_stats *out)
{
	conntrack_shared_stats_get(t, out, sizeof(*out));
}

#ifdef __cplusplus
}
#endif

#endif
