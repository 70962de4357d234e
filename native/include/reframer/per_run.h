/**
 * A loop over the runs of what a poll gave out: one call a run, one look-up a run.
 *
 *   static void count(void *context, void *const *packets, uint32_t nb, const struct reframer_run *run)
 *
 * Two flows may share a run, seldom: compare the key with the run's first packet.
 */
#ifndef REFRAMER_PER_RUN_H
#define REFRAMER_PER_RUN_H

#include <reframer/reframer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @param run NULL where nothing is known of runs: then `nb` is 1. */
typedef void (*reframer_run_fn)(void *context, void *const *packets, uint32_t nb,
                                const struct reframer_run *run);

/**
 * Calls `fn` for each run, in order of release, and for each packet that is in no run: those behind
 * the last one, or all where there is none.
 * @param runs as the poll filled them. @param packets `nb` of them, of the same poll.
 */
static inline void reframer_per_run(const struct reframer_run *runs, uint32_t nb_runs,
                                    void *const *packets, uint32_t nb, reframer_run_fn fn,
                                    void *context)
{
	uint32_t at = 0;
	for (uint32_t i = 0; i < nb_runs && at < nb; i++) {
		const uint32_t left = nb - runs[i].first;
		fn(context, packets + runs[i].first, runs[i].count < left ? runs[i].count : left, &runs[i]);
		at = runs[i].first + runs[i].count;
	}
	for (; at < nb; at++)
		fn(context, packets + at, 1, NULL);
}

#ifdef __cplusplus
}
#endif
#endif
