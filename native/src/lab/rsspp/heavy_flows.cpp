// Dyssect-like: a flow that is heavy on its own leaves its bucket by an exact-match rule and becomes
// a unit that the balancer moves alone. A rule takes a slot that belongs to the bucket's owner, so
// that nothing changes core at that moment and order is kept; moving it is an ordinary hand-over.
#include "lab/rsspp/policy.hpp"
#include "lab/rsspp/trial.hpp"

#include <algorithm>

namespace reframer::lab {

namespace {

// A flow gets a rule from this share of one core's packets on; NICs take thousands of rules, and
// each costs a table write.
constexpr double heavy_share = 0.02;
// Epochs without a packet until a rule goes: longer than a full ring takes to empty.
constexpr uint32_t idle_epochs = 10;

class FlowsPolicy : public BalancePolicy {
public:
	FlowsPolicy(const RssppTrial &trial, RssPort &port, const rsspp_handover *handover)
		: balancer(make_balancer_policy(trial, 2 * trial.entries, false)), port(port),
		  handover(handover), nb_entries(trial.entries), nb_cores(trial.cores),
		  flow(2 * trial.entries), idle(2 * trial.entries), last(2 * trial.entries)
	{
	}
	bool wants_flows() const override { return true; }
	void reject(const rsspp_move &move) override { balancer->reject(move); }

	EpochOutcome step(const EpochView &view) override
	{
		retire(view.counters);
		uint64_t total = 0;
		for (const auto &[hash, packets] : view.sampled)
			total += packets;
		const double wanted = heavy_share * double(total) / nb_cores;
		for (const auto &[hash, packets] : view.sampled)
			if (double(packets) > wanted && total >= 100)
				add(hash);
		EpochOutcome out = balancer->step(view);
		// A slot without a flow has no load, and no reason to move.
		std::erase_if(out.moves, [&](const rsspp_move &m) {
			const bool unused = m.bucket >= nb_entries && flow[m.bucket] == 0;
			if (unused)
				balancer->reject(m);
			return unused;
		});
		return out;
	}

private:
	void add(uint32_t hash)
	{
		const uint32_t bucket = hash & (nb_entries - 1);
		if (port.rules.slot(hash) != 0 || rsspp_handover_in_progress(handover) != 0)
			return;
		const uint16_t owner = rsspp_handover_owner(handover, bucket);
		for (uint32_t slot = nb_entries; slot < 2 * nb_entries; slot++) {
			if (flow[slot] != 0 || rsspp_handover_owner(handover, slot) != owner)
				continue;
			if (port.rules.add(hash, slot)) {
				flow[slot] = uint64_t(hash) | in_use;
				idle[slot] = 0;
			}
			return;
		}
	}
	void retire(const std::vector<uint64_t> &counters)
	{
		for (uint32_t slot = nb_entries; slot < 2 * nb_entries; slot++) {
			idle[slot] = counters[slot] == last[slot] ? idle[slot] + 1 : 0;
			last[slot] = counters[slot];
			if (flow[slot] != 0 && idle[slot] >= idle_epochs) {
				port.rules.remove(uint32_t(flow[slot]));
				flow[slot] = 0;
			}
		}
	}

	static constexpr uint64_t in_use = 1ull << 32;
	std::unique_ptr<BalancePolicy> balancer;
	RssPort &port;
	const rsspp_handover *handover;
	const uint32_t nb_entries, nb_cores;
	std::vector<uint64_t> flow; // by slot: hash and a mark, or 0
	std::vector<uint32_t> idle;
	std::vector<uint64_t> last;
};

} // namespace

std::unique_ptr<BalancePolicy> make_flows_policy(const RssppTrial &trial, RssPort &port,
                                                 const rsspp_handover *handover)
{
	return std::make_unique<FlowsPolicy>(trial, port, handover);
}

} // namespace reframer::lab
