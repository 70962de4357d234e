#include "lab/rsspp/policy.hpp"

#include "jobs/job.hpp"
#include "lab/rsspp/methods.hpp"
#include "lab/rsspp/trial.hpp"

#include <algorithm>

namespace reframer::lab {

namespace {

class BalancerPolicy : public BalancePolicy {
public:
	BalancerPolicy(const RssppTrial &trial, uint32_t nb_slots, bool paper_scaling)
		: nb_cores(trial.cores), target(trial.target_load), paper_scaling(paper_scaling),
		  on(trial.cores, true)
	{
		rsspp_balancer_params p;
		rsspp_balancer_default_params(&p);
		p.nb_buckets = nb_slots;
		p.nb_cores = trial.cores;
		p.method = uint32_t(trial.method == "flows" ? RSSPP_OURS : method_of(trial.method));
		p.autoscale = trial.autoscale && !paper_scaling;
		p.target_load = float(trial.target_load);
		p.interval_us = trial.interval_ms * 1000;
		p.busy_interval_us =
			trial.overload_interval_ms > 0 ? trial.overload_interval_ms * 1000 : p.interval_us;
		if (p.method == RSSPP_GREEDY)
			p.hold_epochs = 1; // as published: who just received waits an epoch
		owned = make_balancer(p);
		balancer = owned.get();
		room.resize(nb_slots);
	}

	EpochOutcome step(const EpochView &view) override
	{
		EpochOutcome out;
		if (paper_scaling)
			out.cores_changed = scale(view.load);
		const rsspp_epoch epoch = {view.counters.data(), view.load.data(), view.fill.data(),
		                           view.waiting.data()};
		rsspp_report report;
		const uint32_t n = balancer_step(balancer, epoch, room, report);
		out.moves.assign(room.begin(), room.begin() + n);
		out.active = report.nb_active;
		out.next_epoch_ns = uint64_t(report.next_epoch_us) * 1000;
		out.cores_changed += report.cores_changed;
		out.solve_us = double(report.solve_ns) * 1e-3;
		return out;
	}
	void reject(const rsspp_move &move) override { rsspp_balancer_reject(balancer, &move, 1); }

private:
	// The published rule: headroom against a guard that grows with the number of cores, one core an
	// epoch, the least loaded one goes.
	int32_t scale(const std::vector<float> &load)
	{
		double headroom = 0, most = 0;
		int n = 0, least = -1, spare = -1;
		for (uint32_t c = 0; c < nb_cores; c++) {
			if (!on[c]) {
				spare = spare < 0 ? int(c) : spare;
				continue;
			}
			n++;
			headroom += target - double(load[c]);
			most = std::max(most, double(load[c]));
			if (least < 0 || load[c] < load[uint32_t(least)])
				least = int(c);
		}
		const double guard = (n + 1) * std::max(0.05, most - target);
		if (n > 1 && headroom > 1 + (1 - target) + guard) {
			on[uint32_t(least)] = false;
			rsspp_balancer_remove_core(balancer, uint16_t(least));
			return -1;
		}
		if (headroom < -0.1 && spare >= 0) {
			on[uint32_t(spare)] = true;
			rsspp_balancer_restore_core(balancer, uint16_t(spare));
			return 1;
		}
		return 0;
	}

	api::Balancer owned;
	rsspp_balancer *balancer = nullptr;
	std::vector<rsspp_move> room;
	const uint32_t nb_cores;
	const double target;
	const bool paper_scaling;
	std::vector<bool> on;
};

} // namespace

std::unique_ptr<BalancePolicy> make_balancer_policy(const RssppTrial &trial, uint32_t nb_slots,
                                                    bool paper_scaling)
{
	return std::make_unique<BalancerPolicy>(trial, nb_slots, paper_scaling);
}

uint32_t first_cores(const RssppTrial &trial)
{
	return trial.method == "classes" ? 1 : trial.cores;
}

} // namespace reframer::lab
