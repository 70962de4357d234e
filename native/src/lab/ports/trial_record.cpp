// The record of a trial over ports.
#include "jobs/record.hpp"
#include "lab/latency.hpp"
#include "lab/ports/trial_run.hpp"

#include <algorithm>
#include <string>

namespace reframer::dpdk {

namespace {

using lab::Json;

Json spec_record(const DpdkTrial &spec)
{
	Json out = lab::describe(spec.trial);
	for (const char *name :
	     {"engine", "dma", "frontCores", "sensitive", "sensitivePasses", "raw", "standTwice"})
		out.erase(name);
	if (spec.feed.empty() && spec.clock == TrialClock::tsc)
		for (const char *name : {"source", "offeredBps", "offeredPps"})
			out.erase(name);
	out["port"] = {{"eal", spec.eal},
	               {"in", spec.in},
	               {"out", spec.out},
	               {"feed", spec.feed.empty() ? Json(nullptr) : Json(spec.feed)},
	               {"clock", spec.clock == TrialClock::logical ? "logical" : "tsc"},
	               {"checkPackets", spec.check_packets}};
	return out;
}

} // namespace

Json dpdk_trial_record(const DpdkTrial &spec, const DpdkOutcome &o)
{
	using lab::ratio;
	const bool logical = spec.clock == TrialClock::logical;
	const double seconds = o.window_ns * 1e-9, processed = static_cast<double>(o.processed);
	const double busy =
		logical ? static_cast<double>(spec.trial.service_ns) * processed : o.cost.sum();
	// By the logical clock the split says nothing.
	const auto measured = [&](double ns) {
		return logical ? Json(nullptr) : Json(ratio(ns, processed));
	};
	const auto of_stage = [&](const Json &value) { return o.has_stage ? value : Json(nullptr); };
	Json reasons = Json::object(), chain_stats = Json::object();
	lab::add_verdicts(reasons, o.verdicts);
	lab::add_counters(chain_stats, o.counters);
	const reframer_stats &s = o.stage.stage;
	const Json checks =
		lab::joined(NAMED(o.foreign, o.totals.nf_dropped, o.totals.unsent, o.held,
	                      o.totals.misplaced, o.conserved(), o.passed()),
	                {{"in", o.offered},
	                 {"out", o.totals.sent},
	                 {"ringDropped", o.lost},
	                 {"thinned", s.packets_thinned},
	                 {"orderChecked", o.totals.checked},
	                 {"ordered", o.totals.reordered == 0},
	                 {"formsAgree", o.forms_checked ? Json(o.forms_agree) : Json(nullptr)}});
	return lab::joined(
		NAMED(spec.trial.seed, o.tsc_hz, o.wall_seconds, o.window_ns, checks, chain_stats),
		{{"job", "trial-dpdk"},
	     {"spec", spec_record(spec)},
	     {"ports",
	      {{"in", o.in_driver},
	       {"out", o.out_driver},
	       {"feed", spec.feed.empty() ? Json(nullptr) : Json(o.feed_driver)},
	       {"nicHash", of_stage(o.stage.nic_hash != 0)}}},
	     {"throughputBps", ratio(static_cast<double>(o.departed_bits), seconds)},
	     {"throughputPps", ratio(static_cast<double>(o.departed), seconds)},
	     {"slfIn", of_stage(ratio(double(s.packets_in), double(s.runs_in)))},
	     {"slfOut", of_stage(ratio(double(s.packets_out), double(s.runs_out)))},
	     {"flows", spec.feed.empty() && !logical ? Json(nullptr) : Json(o.flows)},
	     {"nsPerPacket", ratio(busy, processed)},
	     {"cyclesPerPacket", ratio(busy, processed) * o.tsc_hz * 1e-9},
	     {"rxNsPerPacket", measured(o.cost.rx)},
	     {"stageNsPerPacket", measured(o.cost.stage)},
	     {"chainNsPerPacket", measured(o.cost.chain)},
	     {"txNsPerPacket", measured(o.cost.tx)},
	     {"busyShare", ratio(busy, o.window_ns)},
	     {"packetsPerPoll",
	      ratio(static_cast<double>(o.polled), static_cast<double>(o.busy_polls))},
	     {"latencyNs", lab::whole_latency(o.latency)},
	     {"holdNs", of_stage(lab::hold_record(o.holds, s.hold_max_ns))},
	     {"drops",
	      {{"ring", o.lost},
	       {"nf", o.totals.nf_dropped},
	       {"nfReasons", reasons},
	       {"tx", o.totals.unsent}}},
	     {"polls", {{"busy", o.busy_polls}, {"empty", o.empty_polls}}}});
}

void DpdkOutcome::add(const DpdkOutcome &w, const TrialLane::Totals &t, const nf::Chain &chain)
{
	departed += w.departed;
	departed_bits += w.departed_bits;
	polled += w.polled;
	processed += w.processed;
	busy_polls += w.busy_polls;
	empty_polls += w.empty_polls;
	cost += w.cost;
	latency.merge(w.latency);
	totals.received += t.received;
	totals.sent += t.sent;
	totals.nf_dropped += t.nf_dropped;
	totals.unsent += t.unsent;
	totals.reordered += t.reordered;
	totals.checked += t.checked;
	totals.misplaced += t.misplaced;
	for (uint8_t v = 0; v < nf::nb_verdicts; v++)
		verdicts[v] += chain.verdicts(v);
	const nf::Counters own = chain.counters();
	if (counters.empty())
		counters = own;
	else
		for (size_t i = 0; i < own.size(); i++)
			counters[i].second += own[i].second;
}

void StageCounts::read(reframer_dpdk_queue *queue)
{
	reframer_dpdk_get_stats(queue, &stats);
	holds = {};
	holds.add(reframer_dpdk_stage(queue));
}

void DpdkOutcome::add_stage(const StageCounts &opened, const StageCounts &closed,
                            const StageCounts &end)
{
	const reframer_stats &from = opened.stats.stage, &to = closed.stats.stage;
	has_stage = true;
	stage.nic_hash = end.stats.nic_hash;
	stage.stage.packets_in += to.packets_in - from.packets_in;
	stage.stage.packets_out += to.packets_out - from.packets_out;
	stage.stage.runs_in += to.runs_in - from.runs_in;
	stage.stage.runs_out += to.runs_out - from.runs_out;
	stage.stage.packets_thinned += end.stats.stage.packets_thinned;
	stage.stage.packets_held += end.stats.stage.packets_held;
	held += end.stats.stage.packets_held;
	// The longest that was ever held may be of before: no more than the last bucket that was used.
	uint64_t longest = 0;
	for (uint32_t b = 0; b < REFRAMER_HISTOGRAM_BUCKETS; b++) {
		const uint64_t packets = closed.holds.packets[b] - opened.holds.packets[b];
		holds.packets[b] += packets;
		if (packets > 0)
			longest =
				b + 1 == REFRAMER_HISTOGRAM_BUCKETS ? UINT64_MAX : reframer_histogram_low_ns(b + 1);
	}
	stage.stage.hold_max_ns =
		std::max(stage.stage.hold_max_ns, std::min(longest, end.stats.stage.hold_max_ns));
}

} // namespace reframer::dpdk
