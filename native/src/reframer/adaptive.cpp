#include "reframer/adaptive.hpp"

#include <algorithm>

namespace reframer::stage {

namespace {

// An epoch must see many hold times, or its groups are those of the T before; and packets enough
// that the mean run length is known to some percent.
constexpr uint64_t epoch_budgets = 8;
constexpr uint64_t epoch_least_ns = 250'000;
constexpr uint64_t epoch_packets = 1024;
// What was measured so many epochs ago is measured again: traffic changes.
constexpr uint64_t fresh_epochs = 32;
// Half the T must cost this much more, or the shorter delay is the better bargain. Counting runs
// (no load reported) asks for more than counting cycles: a run saved is not yet a cycle saved.
constexpr double margin_cycles = 0.02;
constexpr double margin_runs = 0.05;
// A core that idles half of its time gains nothing from cheaper packets; one beyond 85 % is about
// to queue. Between them T stays: moving it would move the load across the same bounds.
constexpr double busy_relaxed = 0.5, busy_pressed = 0.85;
// Share of the RX ring; and one burst, which is what a poll finds on a core that keeps up.
constexpr double fill_relaxed = 1.0 / 16, fill_pressed = 1.0 / 4;
constexpr uint32_t queue_relaxed = 32;
// With fewer packets in a budget there is nobody to group with.
constexpr double packets_worth = 2;

} // namespace

uint64_t Adaptive::delay_of(uint32_t level, uint64_t budget_ns) const
{
	return level == 0 ? 0 : budget_ns >> (nb_levels - 1 - level);
}

void Adaptive::begin(uint64_t now, uint64_t budget_ns, const reframer_stats &stats)
{
	begun_ = now;
	settling_ = false;
	packets_ = stats.packets_out;
	runs_ = stats.runs_out;
	busy_ = total_ = reported_ = 0;
	fill_ = 0;
	longest_queue_ = 0;
	nb_reports_ = 0;
	next_look_ = now + std::max(epoch_budgets * budget_ns, epoch_least_ns);
}

void Adaptive::reset(uint64_t now, uint64_t budget_ns, const reframer_stats &stats)
{
	*this = Adaptive();
	begin(now, budget_ns, stats);
}

void Adaptive::report(const reframer_load &load)
{
	nb_reports_++;
	busy_ += load.busy_cycles;
	total_ += load.total_cycles;
	reported_ += load.packets;
	longest_queue_ = std::max(longest_queue_, load.queue_length);
	if (load.queue_capacity)
		fill_ = std::max(fill_, static_cast<double>(load.queue_length) / load.queue_capacity);
}

Adaptive::Need Adaptive::need(uint64_t packets, uint64_t elapsed, uint64_t budget_ns) const
{
	const double in_budget = static_cast<double>(packets) * static_cast<double>(budget_ns) /
	                         static_cast<double>(std::max<uint64_t>(elapsed, 1));
	if (in_budget < packets_worth)
		return Need::relaxed;
	if (nb_reports_ == 0)
		return Need::unknown;
	const double busy = total_ ? static_cast<double>(busy_) / static_cast<double>(total_) : 1;
	if (busy > busy_pressed || fill_ > fill_pressed)
		return Need::pressed;
	if (busy < busy_relaxed && (fill_ < fill_relaxed || longest_queue_ <= queue_relaxed))
		return Need::relaxed;
	return Need::steady;
}

bool Adaptive::fresh(uint32_t level) const
{
	return measured_[level] && epoch_ - measured_[level] < fresh_epochs;
}

// Costs fall with T, then may rise again (caches). What is known decides first, then half and
// double T are tried.
uint32_t Adaptive::choose(double margin)
{
	const double here = cost_[level_];
	const auto better = [&](uint32_t level) {
		return level < nb_levels && fresh(level) && cost_[level] < here * (1 - margin);
	};
	if (level_ == 0) {
		// The first small steps may show nothing: look from the top, or, if the top is too
		// much of a good thing, from two steps below it.
		if (better(looked_from_))
			return looked_from_;
		if (fresh(looked_from_))
			return better(1) ? 1 : 0;
		looked_from_ = looked_from_ == nb_levels - 1 ? nb_levels - 3 : nb_levels - 1;
		return looked_from_;
	}
	if (fresh(0) && here >= cost_[0] * (1 - margin))
		return 0; // nothing is gained
	if (better(level_ + 1))
		return level_ + 1;
	if (!fresh(level_ - 1) || cost_[level_ - 1] <= here * (1 + margin))
		return level_ - 1;
	if (level_ + 1 < nb_levels && !fresh(level_ + 1))
		return level_ + 1;
	return level_;
}

uint64_t Adaptive::step(uint64_t now, uint64_t budget_ns, const reframer_stats &stats)
{
	if (settling_) {
		begin(now, budget_ns, stats);
		return delay_of(level_, budget_ns);
	}
	const uint64_t elapsed = now - begun_;
	const uint64_t packets = stats.packets_out - packets_;
	// A slow trickle is waited for, but not for ever: it is idle.
	if (packets < epoch_packets && elapsed < 8 * std::max(epoch_budgets * budget_ns, epoch_least_ns)) {
		next_look_ = now + std::max(epoch_budgets * budget_ns, epoch_least_ns) / 4;
		return delay_of(level_, budget_ns);
	}
	epoch_++;
	const Need what = need(packets, elapsed, budget_ns);
	const bool cycles = what != Need::unknown && reported_ > 0 && busy_ > 0;
	if (packets > 0) {
		const double runs = static_cast<double>(stats.runs_out - runs_);
		const double cost = cycles ? static_cast<double>(busy_) / static_cast<double>(reported_)
		                           : runs / static_cast<double>(packets);
		cost_[level_] = fresh(level_) ? (cost_[level_] + cost) / 2 : cost;
		measured_[level_] = epoch_;
	}
	uint32_t next = level_;
	if (what == Need::relaxed)
		next = level_ > 0 ? level_ - 1 : 0;
	else if (what != Need::steady)
		next = choose(cycles ? margin_cycles : margin_runs);
	const uint64_t longer = std::max(delay_of(next, budget_ns), delay_of(level_, budget_ns));
	const bool moved = next != level_;
	level_ = next;
	begin(now, budget_ns, stats);
	if (moved) {
		settling_ = true;
		next_look_ = now + 2 * longer;
	}
	return delay_of(level_, budget_ns);
}

} // namespace reframer::stage
