#include "rsspp/problem.hpp"

#include <algorithm>
#include <cmath>

namespace reframer::rsspp {

Workspace::Workspace(uint32_t max_buckets, uint32_t max_cores)
	: core_id(max_cores), dense(max_cores), first(max_buckets), owner(max_buckets),
	  core_load(max_cores), lists(max_cores), scratch(max_buckets), max_buckets(max_buckets),
	  max_cores(max_cores),
	  // 20 more than a power of two: lists of different cores must not fall on the same cache sets.
	  stride(max_buckets + 20), list_loads(size_t(stride) * max_cores),
	  list_ids(size_t(stride) * max_cores)
{
	orphans.reserve(max_buckets);
}

bool Workspace::load(const rsspp_problem &p)
{
	if (p.nb_buckets == 0 || p.nb_buckets > max_buckets || p.nb_cores == 0 ||
	    p.nb_cores > max_cores)
		return false;
	problem = &p;
	nb_cores = 0;
	for (uint32_t c = 0; c < p.nb_cores; c++) {
		dense[c] = no_core;
		if (!p.active || p.active[c]) {
			dense[c] = uint16_t(nb_cores);
			core_id[nb_cores++] = uint16_t(c);
		}
	}
	if (nb_cores == 0)
		return false;
	total = 0;
	heaviest = 0;
	for (uint32_t b = 0; b < p.nb_buckets; b++) {
		const float load = p.bucket_load[b];
		if (!(load >= 0) || !std::isfinite(load) || p.owner[b] >= p.nb_cores)
			return false;
		first[b] = dense[p.owner[b]];
		total += load;
		heaviest = std::max(heaviest, load);
	}
	if (!std::isfinite(total)) // each load is, but not their sum
		return false;
	mean = total / float(nb_cores);
	lower_bound = std::max(mean, heaviest);
	tolerance = p.tolerance > 0 ? p.tolerance : 0.009f;
	rewind();
	worst_before = *std::max_element(core_load.begin(), core_load.begin() + nb_cores);
	least_before = *std::min_element(core_load.begin(), core_load.begin() + nb_cores);
	return true;
}

void Workspace::rewind()
{
	std::copy_n(first.begin(), problem->nb_buckets, owner.begin());
	fill_lists();
}

void Workspace::fill_lists()
{
	for (uint32_t c = 0; c < nb_cores; c++) {
		lists[c] = {&list_loads[size_t(c) * stride], &list_ids[size_t(c) * stride], 0};
		core_load[c] = 0;
	}
	orphans.clear();
	for (uint32_t b = 0; b < problem->nb_buckets; b++) {
		if (owner[b] == no_core)
			orphans.push_back(uint16_t(b));
		else
			place(b, owner[b]);
	}
	const float *load = problem->bucket_load;
	std::sort(orphans.begin(), orphans.end(), [load](uint16_t a, uint16_t b) {
		return load[a] != load[b] ? load[a] > load[b] : a < b;
	});
}

void Workspace::place(uint32_t bucket, uint32_t core)
{
	BucketList &list = lists[core];
	list.load[list.count] = problem->bucket_load[bucket];
	list.id[list.count++] = uint16_t(bucket);
	core_load[core] += problem->bucket_load[bucket];
	owner[bucket] = uint16_t(core);
}

void Workspace::move(uint32_t from, uint32_t position, uint32_t to)
{
	BucketList &list = lists[from];
	const uint32_t bucket = list.id[position];
	core_load[from] -= list.load[position];
	list.count--;
	list.load[position] = list.load[list.count];
	list.id[position] = list.id[list.count];
	place(bucket, to);
}

uint32_t Workspace::position_of(uint32_t core, uint32_t bucket) const
{
	const BucketList &list = lists[core];
	return uint32_t(std::find(list.id, list.id + list.count, uint16_t(bucket)) - list.id);
}

void Workspace::finish(rsspp_solution &s) const
{
	s.lower_bound = lower_bound;
	s.mean = mean;
	s.worst_before = worst_before;
	s.least_before = least_before;
	// Summed afresh: the running sums have drifted by the moves' rounding.
	float worst = 0, least = INFINITY;
	for (uint32_t c = 0; c < nb_cores; c++) {
		float sum = 0;
		for (uint32_t i = 0; i < lists[c].count; i++)
			sum += lists[c].load[i];
		worst = std::max(worst, sum);
		least = std::min(least, sum);
	}
	s.worst_after = worst;
	s.least_after = least;
	s.nb_moves = 0;
	for (uint32_t b = 0; b < problem->nb_buckets; b++)
		s.nb_moves += owner[b] != first[b];
}

void Workspace::store(uint16_t *new_owner) const
{
	for (uint32_t b = 0; b < problem->nb_buckets; b++)
		new_owner[b] = core_id[owner[b]];
}

void place_orphans(Workspace &w)
{
	for (uint16_t bucket : w.orphans) {
		const auto least = std::min_element(w.core_load.begin(), w.core_load.begin() + w.nb_cores);
		w.place(bucket, uint32_t(least - w.core_load.begin()));
	}
	w.orphans.clear();
}

} // namespace reframer::rsspp
