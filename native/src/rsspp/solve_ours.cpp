// Our method. Three ideas, each against a weakness of the greedy of the RSS++ authors:
//  1. The target is a water level, not the mean: a bucket heavier than a fair share (an elephant)
//     gets a core of its own, and the rest is levelled over the other cores. The greedy leaves
//     such a core alone, small buckets and all.
//  2. Between hottest and coldest core the bucket that *fits* moves, not the biggest; where no
//     single bucket helps, two are exchanged.
//  3. At the end every move that turned out not to be needed is taken back, lightest first.
#include "rsspp/problem.hpp"

#include <algorithm>
#include <cmath>

namespace reframer::rsspp {

namespace {

enum class Fit {
	fill,  // as much as fixes one of the two cores
	halve, // meet in the middle: more moves, gets closer with few buckets a core
};

class Levelling {
public:
	explicit Levelling(Workspace &w)
		: w(w), target(w.nb_cores), frozen(w.nb_cores), best_owner(w.problem->nb_buckets)
	{
		node_penalty = w.problem->node_penalty > 0 ? w.problem->node_penalty : 0.05f;
	}

	uint32_t run(uint32_t &nb_elephants)
	{
		find_level();
		nb_elephants = elephants;
		uint32_t tried = attempt(Fit::fill);
		keep();
		if (best_worst > w.lower_bound * (1 + w.tolerance)) {
			w.rewind();
			place_orphans(w);
			tried += attempt(Fit::halve);
			keep();
		}
		restore();
		return tried;
	}

private:
	// The level at which load stands when elephants have cores of their own.
	void find_level()
	{
		const rsspp_problem &p = *w.problem;
		level = w.mean;
		elephants = 0;
		while (elephants < w.nb_cores) {
			cut = level * (1 + w.tolerance);
			float heavy = 0;
			uint32_t count = 0;
			for (uint32_t b = 0; b < p.nb_buckets; b++) {
				if (p.bucket_load[b] > cut) {
					heavy += p.bucket_load[b];
					count++;
				}
			}
			// Only ever more: with loads of very different size the sums round, and the level would
			// swing for ever.
			if (count <= elephants)
				break;
			elephants = count;
			if (count < w.nb_cores)
				level = std::max(0.0f, w.total - heavy) / float(w.nb_cores - count);
		}
		slack = std::max(w.tolerance * level, 1e-7f);
		// The worst core decides, and it is an elephant's where there is one: the others may stand
		// up to its weight. A cold core is let be up to a tenth below the level: filling it closer
		// doubles the moves on campus traffic and brings nothing, since the next epoch differs by more.
		cap = w.lower_bound * (1 + w.tolerance);
		room_left = 0.1f * level;
	}

	uint32_t attempt(Fit fit)
	{
		std::fill_n(target.begin(), w.nb_cores, level);
		std::fill_n(frozen.begin(), w.nb_cores, 0);
		if (elephants > 0)
			settle_elephants();
		uint32_t tried = 0;
		const uint32_t limit = 4 * w.problem->nb_buckets;
		while (tried < limit) {
			const int hot = hottest();
			if (hot < 0)
				break;
			const int cold = coldest(uint32_t(hot));
			if (w.core_load[uint32_t(hot)] <= cap &&
			    (cold < 0 || -excess(uint32_t(cold)) <= room_left || excess(uint32_t(hot)) <= 0))
				break;
			tried++;
			if (!relieve(uint32_t(hot), cold, fit))
				frozen[uint32_t(hot)] = 1;
		}
		take_back();
		return tried;
	}

	float excess(uint32_t core) const { return w.core_load[core] - target[core]; }

	// Every elephant becomes the only heavy bucket of its core; that core's target is its weight.
	void settle_elephants()
	{
		std::vector<uint16_t> heavy;
		for (uint32_t b = 0; b < w.problem->nb_buckets; b++)
			if (w.problem->bucket_load[b] > cut)
				heavy.push_back(uint16_t(b));
		std::sort(heavy.begin(), heavy.end(), [this](uint16_t a, uint16_t b) {
			return w.problem->bucket_load[a] > w.problem->bucket_load[b];
		});
		std::vector<uint8_t> taken(w.nb_cores);
		for (uint16_t b : heavy) {
			uint32_t core = w.owner[b];
			if (taken[core] && w.may_move(b)) {
				int free_core = -1;
				for (uint32_t c = 0; c < w.nb_cores; c++)
					if (!taken[c] &&
					    (free_core < 0 || w.core_load[c] < w.core_load[uint32_t(free_core)]))
						free_core = int(c);
				if (free_core >= 0) {
					w.move(core, w.position_of(core, b), uint32_t(free_core));
					core = uint32_t(free_core);
				}
			}
			if (!taken[core]) {
				taken[core] = 1;
				target[core] = w.problem->bucket_load[b];
			} else {
				target[core] += w.problem->bucket_load[b]; // more elephants than cores
			}
		}
	}

	// The worst core while it is above the cap, then the one furthest above its target.
	int hottest() const
	{
		int best = -1;
		for (uint32_t c = 0; c < w.nb_cores; c++)
			if (!frozen[c] && w.core_load[c] > cap &&
			    (best < 0 || w.core_load[c] > w.core_load[uint32_t(best)]))
				best = int(c);
		if (best >= 0)
			return best;
		for (uint32_t c = 0; c < w.nb_cores; c++)
			if (!frozen[c] && (best < 0 || excess(c) > excess(uint32_t(best))))
				best = int(c);
		return best;
	}

	// Coldest core of the same node, unless one of another node is colder by more than the penalty.
	int coldest(uint32_t hot) const
	{
		int near = -1, any = -1;
		for (uint32_t c = 0; c < w.nb_cores; c++) {
			if (c == hot)
				continue;
			if (any < 0 || excess(c) < excess(uint32_t(any)))
				any = int(c);
			if (w.node_of(c) == w.node_of(hot) && (near < 0 || excess(c) < excess(uint32_t(near))))
				near = int(c);
		}
		if (near >= 0 && excess(uint32_t(near)) - excess(uint32_t(any)) <= node_penalty * w.mean)
			return near;
		return any;
	}

	bool movable(const BucketList &list, uint32_t i) const
	{
		return list.load[i] <= cut && w.may_move(list.id[i]);
	}

	// One move or exchange that lowers the hotter of the two cores. First with the coldest core,
	// then with any other that has room.
	bool relieve(uint32_t hot, int cold, Fit fit)
	{
		if (cold < 0)
			return false;
		if (move_one(hot, uint32_t(cold), fit) || exchange(hot, uint32_t(cold)))
			return true;
		for (uint32_t c = 0; c < w.nb_cores; c++) {
			if (c == hot || int(c) == cold || excess(c) >= excess(hot) ||
			    w.node_of(c) != w.node_of(uint32_t(cold)))
				continue;
			if (move_one(hot, c, fit) || exchange(hot, c))
				return true;
		}
		return false;
	}

	// What passes from hot to cold must lower the pair's maximum by at least this. Above the cap anything
	// counts: beside an elephant there may be nothing but light buckets.
	float min_gain(uint32_t hot) const
	{
		return w.core_load[hot] > cap ? 1e-3f * slack : 0.2f * slack;
	}

	bool move_one(uint32_t hot, uint32_t cold, Fit fit)
	{
		const float over = excess(hot), room = -excess(cold);
		const float wanted = fit == Fit::halve || over <= slack
		                         ? (over + room) / 2
		                         : std::min(std::max(over, 0.0f), room);
		const BucketList &list = w.lists[hot];
		int best = -1;
		float best_distance = INFINITY;
		for (uint32_t i = 0; i < list.count; i++) {
			const float distance = std::fabs(list.load[i] - wanted);
			if (distance < best_distance && movable(list, i) && list.load[i] > 0) {
				best_distance = distance;
				best = int(i);
			}
		}
		if (best < 0)
			return false;
		const float amount = list.load[best];
		if (std::max(over - amount, amount - room) > over - min_gain(hot))
			return false;
		w.move(hot, uint32_t(best), cold);
		return true;
	}

	bool exchange(uint32_t hot, uint32_t cold)
	{
		const float over = excess(hot), room = -excess(cold);
		const float wanted = (over + room) / 2;
		const BucketList &a = w.lists[hot], &b = w.lists[cold];
		int from = -1, to = -1;
		float best_distance = INFINITY;
		for (uint32_t i = 0; i < a.count; i++) {
			if (!movable(a, i))
				continue;
			const float give = a.load[i] - wanted;
			for (uint32_t j = 0; j < b.count; j++) {
				const float distance = std::fabs(give - b.load[j]);
				if (distance < best_distance && movable(b, j)) {
					best_distance = distance;
					from = int(i);
					to = int(j);
				}
			}
		}
		if (from < 0)
			return false;
		const float amount = a.load[from] - b.load[to];
		if (amount <= 0 || std::max(over - amount, amount - room) > over - min_gain(hot))
			return false;
		const uint32_t back = b.id[to];
		w.move(hot, uint32_t(from), cold);
		w.move(cold, w.position_of(cold, back), hot);
		return true;
	}

	// A moved bucket goes home where neither core minds.
	void take_back()
	{
		auto &moved = w.scratch;
		uint32_t count = 0;
		for (uint32_t b = 0; b < w.problem->nb_buckets; b++)
			if (w.owner[b] != w.first[b] && w.first[b] != no_core)
				moved[count++] = b;
		const float *load = w.problem->bucket_load;
		std::sort(moved.begin(), moved.begin() + count, [load](uint32_t a, uint32_t b) {
			return load[a] != load[b] ? load[a] < load[b] : a < b;
		});
		for (uint32_t i = 0; i < count; i++) {
			const uint32_t b = moved[i], home = w.first[b], now = w.owner[b];
			if (load[b] > cut)
				continue;
			if (w.core_load[home] + load[b] <= cap && excess(now) - load[b] >= -room_left)
				w.move(now, w.position_of(now, b), home);
		}
	}

	void keep()
	{
		float worst = 0;
		for (uint32_t c = 0; c < w.nb_cores; c++)
			worst = std::max(worst, w.core_load[c]);
		if (worst < best_worst) {
			best_worst = worst;
			std::copy_n(w.owner.begin(), w.problem->nb_buckets, best_owner.begin());
		}
	}

	void restore()
	{
		for (uint32_t b = 0; b < w.problem->nb_buckets; b++)
			if (w.owner[b] != best_owner[b])
				w.move(w.owner[b], w.position_of(w.owner[b], b), best_owner[b]);
	}

	Workspace &w;
	std::vector<float> target;
	std::vector<uint8_t> frozen;
	std::vector<uint16_t> best_owner;
	float level = 0; // load of a core without an elephant
	float cut = 0;   // heavier buckets are elephants
	float slack = 0;
	float cap = 0;       // no core may stay above this
	float room_left = 0; // nor below its target by more than this
	float node_penalty = 0;
	float best_worst = INFINITY;
	uint32_t elephants = 0;
};

} // namespace

uint32_t solve_ours(Workspace &w, uint32_t &nb_elephants)
{
	place_orphans(w);
	return Levelling(w).run(nb_elephants);
}

} // namespace reframer::rsspp
