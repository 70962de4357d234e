// Metron-like: a core owns traffic classes, which are given by the rules and not by load. A core
// above the upper bound gives half of its classes away, to a fresh core if there is one; a core below
// the lower bound is merged into another one that is below it too.
#include "lab/rsspp/policy.hpp"
#include "lab/rsspp/trial.hpp"

#include <algorithm>

namespace reframer::lab {

namespace {

// As configured in the published runs (dpdk.testie, metron.cc).
constexpr double overload = 0.65, underload = 0.35;
constexpr uint64_t pause_ns = 3'000'000'000;

class ClassesPolicy : public BalancePolicy {
public:
	explicit ClassesPolicy(const RssppTrial &trial)
		: owner(trial.entries, 0), last_load(trial.cores), moved_ns(trial.cores)
	{
	}

	EpochOutcome step(const EpochView &view) override
	{
		EpochOutcome out;
		const uint32_t before = active();
		std::vector<double> next(view.load.size()); // last load and its trend
		for (size_t c = 0; c < next.size(); c++) {
			next[c] = std::max(0.0, 2 * double(view.load[c]) - last_load[c]);
			last_load[c] = double(view.load[c]);
		}
		for (uint16_t c = 0; c < next.size(); c++) {
			if (!may_move(c, view.now_ns))
				continue;
			if (next[c] > overload)
				split(c, next, view.now_ns, out.moves);
			else if (next[c] < underload)
				merge(c, next, view.now_ns, out.moves);
		}
		out.active = active();
		out.cores_changed = int32_t(out.active) - int32_t(before);
		return out;
	}
	void reject(const rsspp_move &move) override { owner[move.bucket] = move.from; }

private:
	bool used(uint16_t core) const
	{
		return std::find(owner.begin(), owner.end(), core) != owner.end();
	}
	bool may_move(uint16_t core, uint64_t now_ns) const
	{
		return used(core) && (moved_ns[core] == 0 || now_ns - moved_ns[core] >= pause_ns);
	}
	uint32_t active() const
	{
		uint32_t n = 0;
		for (uint16_t c = 0; c < moved_ns.size(); c++)
			n += used(c);
		return n;
	}
	void split(uint16_t from, const std::vector<double> &next, uint64_t now_ns,
	           std::vector<rsspp_move> &moves)
	{
		int to = -1;
		for (uint16_t c = 0; c < next.size() && to < 0; c++)
			if (!used(c))
				to = c;
		for (uint16_t c = 0; c < next.size() && to < 0; c++)
			if (c != from && next[c] < underload)
				to = c;
		if (to < 0)
			return;
		const size_t half = size_t(std::count(owner.begin(), owner.end(), from)) / 2;
		give(from, uint16_t(to), half, now_ns, moves);
	}
	void merge(uint16_t from, const std::vector<double> &next, uint64_t now_ns,
	           std::vector<rsspp_move> &moves)
	{
		for (uint16_t c = 0; c < next.size(); c++)
			if (c != from && may_move(c, now_ns) && next[c] < underload &&
			    next[c] + next[from] < overload)
				return give(from, c, owner.size(), now_ns, moves);
	}
	void give(uint16_t from, uint16_t to, size_t count, uint64_t now_ns,
	          std::vector<rsspp_move> &moves)
	{
		for (size_t b = 0; b < owner.size() && count > 0; b++) {
			if (owner[b] != from)
				continue;
			owner[b] = to;
			moves.push_back({uint16_t(b), from, to, 0});
			count--;
		}
		moved_ns[from] = moved_ns[to] = now_ns;
	}

	std::vector<uint16_t> owner; // by class
	std::vector<double> last_load;
	std::vector<uint64_t> moved_ns;
};

} // namespace

std::unique_ptr<BalancePolicy> make_classes_policy(const RssppTrial &trial)
{
	return std::make_unique<ClassesPolicy>(trial);
}

} // namespace reframer::lab
