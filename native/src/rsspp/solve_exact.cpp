// The smallest possible worst core, by branch and bound over buckets heaviest first; among equal
// ones the assignment with the fewest moves. For the optimality gap in tests and figures: the
// number of nodes grows like cores^buckets and is bounded.
#include "rsspp/problem.hpp"

#include <algorithm>
#include <numeric>

namespace reframer::rsspp {

namespace {

constexpr uint32_t max_nodes = 20'000'000; // about a second

class Search {
public:
	explicit Search(Workspace &w)
		: w(w), order(w.problem->nb_buckets), load(w.nb_cores), owner(w.problem->nb_buckets),
		  best_owner(w.problem->nb_buckets)
	{
		const float *weight = w.problem->bucket_load;
		std::iota(order.begin(), order.end(), 0u);
		std::sort(order.begin(), order.end(), [weight](uint32_t a, uint32_t b) {
			return weight[a] != weight[b] ? weight[a] > weight[b] : a < b;
		});
		// A good first solution prunes most of the tree.
		uint32_t elephants = 0;
		solve_ours(w, elephants);
		best_owner.assign(w.owner.begin(), w.owner.begin() + w.problem->nb_buckets);
		best_moves = 0;
		for (uint32_t b = 0; b < w.problem->nb_buckets; b++)
			best_moves += w.owner[b] != w.first[b];
		best_worst = *std::max_element(w.core_load.begin(), w.core_load.begin() + w.nb_cores);
		equal = 1e-5f * std::max(w.lower_bound, 1e-9f);
	}

	bool run()
	{
		descend(0, 0, 0);
		for (uint32_t b = 0; b < w.problem->nb_buckets; b++)
			if (w.owner[b] != best_owner[b])
				w.move(w.owner[b], w.position_of(w.owner[b], b), best_owner[b]);
		return nodes < max_nodes;
	}

	uint32_t nodes = 0;

private:
	void descend(uint32_t depth, float worst, uint32_t moves)
	{
		if (nodes >= max_nodes || worst > best_worst + equal ||
		    (worst > best_worst - equal && moves >= best_moves))
			return;
		nodes++;
		if (depth == order.size()) {
			best_worst = std::min(best_worst, worst);
			best_moves = moves;
			best_owner = owner;
			return;
		}
		const uint32_t b = order[depth];
		const float weight = w.problem->bucket_load[b];
		const uint16_t home = w.first[b];
		if (home != no_core)
			try_core(depth, b, home, weight, worst, moves);
		if (!w.may_move(b))
			return;
		for (uint32_t c = 0; c < w.nb_cores; c++)
			if (c != home)
				try_core(depth, b, c, weight, worst, moves + 1);
	}

	void try_core(uint32_t depth, uint32_t b, uint32_t core, float weight, float worst,
	              uint32_t moves)
	{
		const float before = load[core];
		load[core] += weight;
		owner[b] = uint16_t(core);
		descend(depth + 1, std::max(worst, load[core]), moves);
		load[core] = before;
	}

	Workspace &w;
	std::vector<uint32_t> order;
	std::vector<float> load;
	std::vector<uint16_t> owner;
	std::vector<uint16_t> best_owner;
	float best_worst = 0;
	float equal = 0;
	uint32_t best_moves = 0;
};

} // namespace

bool solve_exact(Workspace &w, uint32_t &nodes)
{
	Search search(w);
	const bool complete = search.run();
	nodes = search.nodes;
	return complete;
}

} // namespace reframer::rsspp
