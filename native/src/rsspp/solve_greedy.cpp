// The greedy of the RSS++ authors: overloaded cores give their biggest buckets to underloaded ones
// until they are just not balanced any more, in up to ten passes that let cores overshoot by more
// or less (the slack) and keep the best pass. The original never stored the best value, so that it
// returned the last pass instead; that and its empty-core cases are mended here.
#include "rsspp/problem.hpp"

#include <algorithm>
#include <cmath>

namespace reframer::rsspp {

namespace {

constexpr float band = 0.02f;  // cores this close to the mean are left alone (authors' default)
constexpr float leave = 0.01f; // a core this close has been served
constexpr float good_enough = 0.01f; // squared imbalance at which the first pass suffices
constexpr uint32_t max_passes = 10;

class Greedy {
public:
	explicit Greedy(Workspace &w) : w(w), sorted(w.nb_cores) {}

	uint32_t run()
	{
		order_buckets();
		float best = pass(-leave, -leave);
		keep();
		if (best < good_enough)
			return 1;
		float over = residual_over, under = residual_under;
		float low = 0, high = 1; // share of the residual that is let through, for the bisection
		float scale = 1;
		uint32_t passes = 1;
		bool growing = true;
		while (passes < max_passes) {
			w.rewind();
			place_orphans(w);
			const float imbalance = pass(over * scale, under * scale);
			passes++;
			if (imbalance < best) {
				best = imbalance;
				keep();
				low = scale;
				if (growing)
					high = scale *= 1.5f;
				else
					scale = (low + high) / 2;
			} else {
				growing = false;
				high = scale;
				scale = (low + high) / 2;
			}
			if (best < 1e-6f)
				break;
		}
		restore();
		return passes;
	}

private:
	// Biggest first, per core; owners before the first pass never change this order.
	void order_buckets()
	{
		for (uint32_t c = 0; c < w.nb_cores; c++) {
			sorted[c].assign(w.lists[c].id, w.lists[c].id + w.lists[c].count);
			std::erase_if(sorted[c], [this](uint16_t b) {
				return w.problem->bucket_load[b] <= 0 || !w.may_move(b);
			});
			std::sort(sorted[c].begin(), sorted[c].end(), [this](uint16_t a, uint16_t b) {
				const float x = w.problem->bucket_load[a], y = w.problem->bucket_load[b];
				return x != y ? x > y : a < b;
			});
		}
	}

	float pass(float over_slack, float under_slack)
	{
		std::vector<uint32_t> over, under;
		for (uint32_t c = 0; c < w.nb_cores; c++) {
			if (w.core_load[c] - w.mean > band && w.lists[c].count >= 2)
				over.push_back(c);
			else if (w.mean - w.core_load[c] > band)
				under.push_back(c);
		}
		auto hotter = [this](uint32_t a, uint32_t b) { return w.core_load[a] < w.core_load[b]; };
		auto colder = [this](uint32_t a, uint32_t b) { return w.core_load[a] > w.core_load[b]; };
		const std::vector<uint32_t> givers = over, receivers = under;
		std::vector<uint32_t> next(w.nb_cores);
		std::make_heap(over.begin(), over.end(), hotter);
		std::make_heap(under.begin(), under.end(), colder);
		while (!over.empty() && !under.empty()) {
			std::pop_heap(over.begin(), over.end(), hotter);
			const uint32_t from = over.back();
			over.pop_back();
			if (next[from] >= sorted[from].size())
				continue;
			const uint32_t bucket = sorted[from][next[from]++];
			std::pop_heap(under.begin(), under.end(), colder);
			const uint32_t to = under.back();
			under.pop_back();
			if (w.problem->bucket_load[bucket] < w.mean - w.core_load[to] + under_slack)
				w.move(from, w.position_of(from, bucket), to);
			if (w.mean - w.core_load[to] > leave) {
				under.push_back(to);
				std::push_heap(under.begin(), under.end(), colder);
			}
			if (w.core_load[from] - w.mean > -over_slack) {
				over.push_back(from);
				std::push_heap(over.begin(), over.end(), hotter);
			}
		}
		residual_over = residual_under = 0;
		float squared = 0;
		for (uint32_t c : givers) {
			const float d = w.core_load[c] - w.mean;
			residual_over += std::fabs(d);
			squared += d * d;
		}
		for (uint32_t c : receivers) {
			const float d = w.core_load[c] - w.mean;
			residual_under += std::fabs(d);
			squared += d * d;
		}
		return squared;
	}

	void keep() { best_owner = w.owner; }

	void restore()
	{
		for (uint32_t b = 0; b < w.problem->nb_buckets; b++)
			if (w.owner[b] != best_owner[b])
				w.move(w.owner[b], w.position_of(w.owner[b], b), best_owner[b]);
	}

	Workspace &w;
	std::vector<std::vector<uint16_t>> sorted;
	std::vector<uint16_t> best_owner;
	float residual_over = 0, residual_under = 0;
};

} // namespace

uint32_t solve_greedy(Workspace &w)
{
	place_orphans(w);
	return Greedy(w).run();
}

} // namespace reframer::rsspp
