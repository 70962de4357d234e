// The assignment problem in the form that every method works on: active cores numbered densely,
// buckets of each core in one contiguous list. All memory is taken at construction.
#pragma once

#include "reframer/rsspp.h"

#include <cstdint>
#include <vector>

namespace reframer::rsspp {

constexpr uint16_t no_core = UINT16_MAX;

// Buckets of one core, in no order. Lists are short (buckets / cores), so a scan that the compiler
// vectorises beats keeping them sorted.
struct BucketList {
	float *load;
	uint16_t *id;
	uint32_t count;
};

class Workspace {
public:
	Workspace(uint32_t max_buckets, uint32_t max_cores);

	// Reads the problem. Buckets of inactive cores are left in `orphans`, heaviest first.
	// False if the problem is malformed.
	bool load(const rsspp_problem &problem);

	// Bucket at `position` of dense core `from` goes to dense core `to`.
	void move(uint32_t from, uint32_t position, uint32_t to);
	void place(uint32_t bucket, uint32_t core);
	uint32_t position_of(uint32_t core, uint32_t bucket) const;

	// Worst and least loaded core, and what moved against the first owners.
	void finish(rsspp_solution &solution) const;
	void store(uint16_t *new_owner) const;
	// Starts again from the first owners: methods try several strategies.
	void rewind();

	const rsspp_problem *problem = nullptr;
	uint32_t nb_cores = 0; // active
	float total = 0;
	float mean = 0;
	float heaviest = 0;
	float lower_bound = 0;
	float tolerance = 0;
	std::vector<uint16_t> core_id; // dense -> caller's id
	std::vector<uint16_t> dense;   // caller's id -> dense, or no_core
	std::vector<uint16_t> first;   // bucket -> dense core at the start, or no_core
	std::vector<uint16_t> owner;   // bucket -> dense core now
	std::vector<float> core_load;
	std::vector<BucketList> lists;
	std::vector<uint16_t> orphans;
	std::vector<uint32_t> scratch;

	bool may_move(uint32_t bucket) const
	{
		return !problem->pinned || !problem->pinned[bucket] || first[bucket] == no_core;
	}
	uint16_t node_of(uint32_t core) const
	{
		return problem->node ? problem->node[core_id[core]] : 0;
	}

private:
	void fill_lists();

	uint32_t max_buckets;
	uint32_t max_cores;
	uint32_t stride;
	std::vector<float> list_loads;
	std::vector<uint16_t> list_ids;
	float worst_before = 0;
	float least_before = 0;
};

// Each method changes the workspace's owners in place and returns the work it did; exact returns
// false when its budget is spent.
uint32_t solve_greedy(Workspace &w);
uint32_t solve_ours(Workspace &w, uint32_t &nb_elephants);
uint32_t solve_lpt(Workspace &w);
bool solve_exact(Workspace &w, uint32_t &nodes);

// Buckets without an owner, heaviest first, each to the least loaded core *as it then stands*: the
// original ignored the load that was there, and began with the lightest.
void place_orphans(Workspace &w);

} // namespace reframer::rsspp
