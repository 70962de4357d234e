// The course of a trial: warm-up, epochs, seconds, and the figures at the end.
#include "lab/rsspp/trial.hpp"

#include "lab/rsspp/machine.hpp"
#include "lab/rsspp/methods.hpp"
#include "measure/median.hpp"

#include <algorithm>

namespace reframer::lab {

void Machine::end_epoch()
{
	std::vector<float> load(trial.cores), fill(trial.cores);
	std::vector<uint64_t> waiting(trial.cores);
	const double elapsed_ns = std::max(1.0, double(now_ns - epoch_start_ns));
	epoch_start_ns = now_ns;
	next_epoch_ns = now_ns + uint64_t(trial.interval_ms) * 1'000'000;
	for (uint32_t c = 0; c < trial.cores; c++) {
		load[c] = std::min(1.0f, float(double(cores[c].busy_ns) / elapsed_ns));
		waiting[c] = ring_of(uint16_t(c)).length() + rsspp_handover_backlog(handover, uint16_t(c));
		fill[c] = std::min(1.0f, float(waiting[c]) / float(trial.ring_depth));
		cores[c].busy_total_ns += measuring ? cores[c].busy_ns : 0;
		cores[c].busy_ns = 0;
	}
	if (measuring) {
		result.epochs++;
		core_epochs += active;
	}
	if (!policy)
		return;
	rsspp_handover_counters(handover, counters.data());
	const EpochOutcome out = policy->step({now_ns, counters, load, fill, waiting, sampled});
	sampled.clear();
	apply(out.moves);
	if (active != out.active)
		cores_changed_ns = now_ns;
	active = out.active;
	if (out.next_epoch_ns > 0)
		next_epoch_ns = now_ns + out.next_epoch_ns;
	if (measuring) {
		solve_us.push_back(out.solve_us);
		const int direction = out.cores_changed > 0 ? 1 : out.cores_changed < 0 ? -1 : 0;
		result.reversals += direction && last_direction && direction != last_direction;
		last_direction = direction ? direction : last_direction;
	}
}

void Machine::end_second()
{
	uint64_t most = 0, least = UINT64_MAX, drops = 0;
	for (uint32_t c = 0; c < trial.cores; c++) {
		most = std::max(most, cores[c].packets);
		least = std::min(least, cores[c].packets);
		cores[c].packets = 0;
		drops += port.dropped[c];
	}
	if (measuring) {
		result.imbalance_by_second.push_back(imbalance_percent(least, most));
		result.floor_by_second.push_back(floor_percent());
		result.drops_by_second.push_back(double(drops - second_start_drops));
		result.cores_by_second.push_back(double(active));
	}
	second_start_drops = drops;
	arrived_before = port.arrived;
}

// The least (max - min) / min that any assignment could have had in this second: one core has the
// heaviest bucket alone, the others share the rest evenly.
double Machine::floor_percent() const
{
	uint64_t heaviest = 0, total = 0;
	for (size_t b = 0; b < port.arrived.size(); b++) {
		const uint64_t n = port.arrived[b] - (arrived_before.empty() ? 0 : arrived_before[b]);
		heaviest = std::max(heaviest, n);
		total += n;
	}
	if (total == heaviest || trial.cores < 2)
		return 0;
	return std::clamp(100.0 * (double(heaviest) * (trial.cores - 1) / double(total - heaviest) - 1),
	                  0.0, imbalance_cap);
}

RssppTrialResult Machine::run()
{
	const uint64_t warm = uint64_t(trial.warmup_seconds * 1e9);
	const uint64_t end = warm + uint64_t(trial.seconds * 1e9);
	uint64_t next_second = 1'000'000'000, next_random_move = UINT64_MAX;
	if (trial.moves_per_second > 0)
		next_random_move = warm;
	uint64_t offered_before = 0;
	for (;;) {
		uint16_t id = 0;
		for (uint16_t c = 1; c < trial.cores; c++)
			if (cores[c].now_ns < cores[id].now_ns)
				id = c;
		const uint64_t now = cores[id].now_ns;
		if (const RssPort::Wake woken = port.run_until(now); woken.core != RssPort::no_core) {
			wake(woken.core, woken.at_ns); // its turn comes first
			continue;
		}
		if (now >= end)
			break;
		now_ns = now;
		port.wake(id);
		end_write();
		begin_prepared();
		if (now >= next_epoch_ns)
			end_epoch();
		if (now >= next_second) {
			end_second();
			next_second += 1'000'000'000;
		}
		if (!measuring && now >= warm) {
			result.warmed_seconds = double(now) * 1e-9;
			result.still_seconds = double(now - cores_changed_ns) * 1e-9;
			if (result.still_seconds < trial.still_seconds)
				return result; // not yet
			measuring = true;
			// What cores have worked in the epoch that is under way is not of the window ...
			for (Core &core : cores)
				core.busy_total_ns = uint64_t{0} - core.busy_ns;
			offered_before = port.offered;
			drops_before = 0;
			for (uint64_t d : port.dropped)
				drops_before += d;
			write_losses_before = port.lost_to_writes;
		}
		if (now >= next_random_move) {
			next_random_move += uint64_t(1e9 / trial.moves_per_second);
			const uint32_t bucket = uint32_t(random.next() % trial.entries);
			const rsspp_move move = {uint16_t(bucket), port.table[bucket],
			                         uint16_t(random.next() % trial.cores), 0};
			if (move.from != move.to)
				apply({move});
		}
		if (!poll(id))
			rest(id,
			     std::min({next_epoch_ns, std::max(next_random_move, cores[id].now_ns + 1), end}));
	}
	uint64_t drops = 0;
	for (uint64_t d : port.dropped)
		drops += d;
	RssppTrialResult &r = result;
	r.offered = port.offered - offered_before;
	r.dropped = drops - drops_before;
	for (uint32_t c = 0; c < trial.cores; c++) {
		r.in_flight += cores[c].refused.size();
		rsspp_handover_stats s;
		rsspp_handover_get_stats(handover, uint16_t(c), &s);
		r.held += s.held;
		r.forwarded += s.forwarded;
		r.held_max = std::max<uint64_t>(r.held_max, s.held_max);
		r.in_flight += s.held_now + s.handed_over - s.taken_over;
		r.handed_over += s.handed_over;
		cores[c].busy_total_ns += cores[c].busy_ns; // ... and that since the last epoch's end is
		r.mean_load += double(cores[c].busy_total_ns) / (trial.seconds * 1e9) / trial.cores;
	}
	for (const Ring &ring : port.rings)
		r.in_flight += ring.length();
	r.lost_to_writes = port.lost_to_writes - write_losses_before;
	r.lost = int64_t(port.offered) - int64_t(served + drops + r.in_flight);
	r.hold_max_us = double(hold_max_ns) * 1e-3;
	r.hold_beyond_us = double(hold_beyond_max_ns) * 1e-3;
	r.seconds = trial.seconds;
	r.service_ns = service_ns;
	r.offered_pps = double(r.offered) / trial.seconds;
	r.goodput_pps = double(r.processed) / trial.seconds;
	r.latency_p50_us = trial.path_us + latency.quantile(0.5) * 1e-3;
	r.latency_p95_us = trial.path_us + latency.quantile(0.95) * 1e-3;
	r.latency_p99_us = trial.path_us + latency.quantile(0.99) * 1e-3;
	r.latency_p999_us = trial.path_us + latency.quantile(0.999) * 1e-3;
	r.latency_mean_us = trial.path_us + latency.mean() * 1e-3;
	r.imbalance_percent = engine::median(r.imbalance_by_second);
	r.floor_percent = engine::median(r.floor_by_second);
	r.solve_us = engine::median(solve_us);
	r.mean_cores = r.epochs ? double(core_epochs) / double(r.epochs) : 0;
	return r;
}

// Virtual time begins anew with a longer warm-up where cores still come and go: the load is given for
// the packets of the window, so that has to be known from the start. At the limit it begins anyway,
// and the result says for how long the cores had stood still.
RssppTrialResult run_rsspp_trial(const RssppTrial &trial)
{
	constexpr double step = 5;
	RssppTrial longer = trial;
	for (;;) {
		const RssppTrialResult result = Machine(longer).run();
		if (longer.still_seconds <= result.still_seconds)
			return result;
		if (longer.warmup_seconds >= trial.warmup_limit_seconds)
			longer.still_seconds = 0;
		else
			longer.warmup_seconds =
				std::min(longer.warmup_seconds + step, trial.warmup_limit_seconds);
	}
}

} // namespace reframer::lab
