// Longest processing time first: every bucket anew, heaviest first, to the least loaded core. At
// most 4/3 of the optimum (Graham 1969), usually within a fraction of a percent with hundreds of
// buckets; its price is that nearly every bucket moves.
#include "rsspp/problem.hpp"

#include <algorithm>
#include <numeric>

namespace reframer::rsspp {

uint32_t solve_lpt(Workspace &w)
{
	const rsspp_problem &p = *w.problem;
	std::iota(w.scratch.begin(), w.scratch.begin() + p.nb_buckets, 0u);
	std::sort(w.scratch.begin(), w.scratch.begin() + p.nb_buckets, [&p](uint32_t a, uint32_t b) {
		return p.bucket_load[a] != p.bucket_load[b] ? p.bucket_load[a] > p.bucket_load[b] : a < b;
	});
	for (uint32_t c = 0; c < w.nb_cores; c++) {
		w.lists[c].count = 0;
		w.core_load[c] = 0;
	}
	w.orphans.clear();
	// What may not move is there first.
	for (uint32_t b = 0; b < p.nb_buckets; b++)
		if (!w.may_move(b))
			w.place(b, w.first[b]);
	for (uint32_t i = 0; i < p.nb_buckets; i++) {
		const uint32_t b = w.scratch[i];
		if (!w.may_move(b))
			continue;
		const auto least = std::min_element(w.core_load.begin(), w.core_load.begin() + w.nb_cores);
		w.place(b, uint32_t(least - w.core_load.begin()));
	}
	return p.nb_buckets;
}

} // namespace reframer::rsspp
