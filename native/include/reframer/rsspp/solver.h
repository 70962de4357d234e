/** One epoch as an assignment problem; see rsspp.h. */
#ifndef REFRAMER_RSSPP_SOLVER_H
#define REFRAMER_RSSPP_SOLVER_H

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

#ifdef __cplusplus
}
#endif
#endif
