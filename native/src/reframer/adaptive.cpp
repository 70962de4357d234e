#include "reframer/adaptive.hpp"

#include <algorithm>
#include <iterator>

namespace reframer::stage {

namespace {

// An epoch must see some hold times, or its groups are those of the T before; and packets enough
// that their mean cost is known to some percent.
constexpr uint64_t epoch_delays = 4;
constexpr uint64_t epoch_least_ns = 250'000;
constexpr uint64_t epoch_packets = 256;
// What was measured so many epochs ago is measured again: traffic changes.
constexpr uint64_t fresh_epochs = 64;
// Half the T must cost this much more, or the shorter delay is the better bargain. Counting runs
// (no load reported) asks for more than counting cycles: a run saved is not yet a cycle saved.
constexpr double margin_cycles = 0.02;
constexpr double margin_runs = 0.05;
// T = 0 is left for more than the noise of an epoch: a hold that helps nobody costs at once.
constexpr double margin_leave = 0.05;
// A try that gained nothing is repeated after this time, then after twice as long, and so on: a try
// and the queue that it leaves behind take about a millisecond, which shows in the 99th percentile
// from one in a hundred on.
constexpr uint64_t patience_least_ns = 128'000'000, patience_most_ns = 1'024'000'000;
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
	next_look_ = now + std::max(epoch_delays * delay_of(level_, budget_ns), epoch_least_ns);
}

// Costs of another load: a poll that finds one packet costs more a packet than one that finds 32.
void Adaptive::forget()
{
	std::fill(std::begin(measured_), std::end(measured_), 0);
	next_try_ = 0;
	patience_ = patience_least_ns;
	look_at_ = nb_levels - 3;
	calm_ = trying_ = checking_ = false;
}

void Adaptive::reset(uint64_t now, uint64_t budget_ns, const reframer_stats &stats)
{
	*this = Adaptive();
	patience_ = patience_least_ns;
	begin(now, budget_ns, stats);
}

void Adaptive::report(const reframer_load &load)
{
	told_ = true;
	nb_reports_++;
	busy_ += load.busy_cycles;
	total_ += load.total_cycles;
	reported_ += load.packets;
	longest_queue_ = std::max(longest_queue_, load.queue_length);
	if (load.queue_capacity)
		fill_ = std::max(fill_, static_cast<double>(load.queue_length) / load.queue_capacity);
	// Load has come all at once: no time to end the epoch.
	if (calm_ && level_ == 0 && fill_ > fill_pressed && !rushed_) {
		rushed_ = true;
		next_look_ = 0;
	}
}

double Adaptive::busy() const
{
	return total_ ? static_cast<double>(busy_) / static_cast<double>(total_) : 1;
}

Adaptive::Need Adaptive::need(uint64_t packets, uint64_t elapsed, uint64_t budget_ns) const
{
	const double in_budget = static_cast<double>(packets) * static_cast<double>(budget_ns) /
	                         static_cast<double>(std::max<uint64_t>(elapsed, 1));
	if (in_budget < packets_worth)
		return Need::relaxed;
	if (nb_reports_ == 0)
		return Need::unknown;
	if (busy() > busy_pressed || fill_ > fill_pressed)
		return Need::pressed;
	if (busy() < busy_relaxed && (fill_ < fill_relaxed || longest_queue_ <= queue_relaxed))
		return Need::relaxed;
	return Need::steady;
}

bool Adaptive::fresh(uint32_t level) const
{
	return measured_[level] && epoch_ - measured_[level] < fresh_epochs;
}

// Down at once where T = 0 is known to leave time to spare, else a step.
uint32_t Adaptive::relax() const
{
	if (level_ == 0)
		return 0;
	if (measured_[0] && measured_[level_] && busy() * cost_[0] < busy_pressed * cost_[level_])
		return 0;
	return level_ - 1;
}

// Nothing is gained: T = 0, and the next try later each time.
uint32_t Adaptive::give_up(uint64_t now)
{
	next_try_ = now + patience_;
	patience_ = std::min(2 * patience_, patience_most_ns);
	look_at_ = look_at_ == nb_levels - 1 ? nb_levels - 3 : nb_levels - 1;
	return 0;
}

// At T = 0: what is known to be cheaper; else a try, from two below the top, since the first small
// steps may show nothing; or, if that was too little for flows as slow as these, from the top.
uint32_t Adaptive::leave_zero(uint64_t now)
{
	uint32_t best = 0;
	for (uint32_t level = 1; level < nb_levels; level++)
		if (fresh(level) && cost_[level] < cost_[best] * (best ? 1 : 1 - margin_leave))
			best = level;
	if (best) {
		checking_ = false;
		return best;
	}
	if (checking_) {
		checking_ = false;
		return give_up(now);
	}
	if (now < next_try_)
		return 0;
	trying_ = true;
	return look_at_;
}

// Costs fall with T, then may rise again (caches). What is known decides first, then double and
// half T are tried.
uint32_t Adaptive::choose(uint64_t now, double margin)
{
	if (level_ == 0)
		return leave_zero(now);
	const double here = cost_[level_];
	if (fresh(0) && here >= cost_[0] * (1 - margin_leave)) {
		trying_ = false;
		return give_up(now);
	}
	// The gain may be that of caches which have warmed up meanwhile: T = 0 is measured again.
	if (trying_ || !fresh(0)) {
		trying_ = false;
		measured_[0] = 0;
		checking_ = true;
		return 0;
	}
	patience_ = patience_least_ns;
	const auto cheaper = [&](uint32_t level) {
		return fresh(level) && cost_[level] < here * (1 - margin);
	};
	if (level_ + 1 < nb_levels && (!fresh(level_ + 1) || cheaper(level_ + 1)))
		return level_ + 1;
	if (level_ > 1 && (!fresh(level_ - 1) || cost_[level_ - 1] <= here * (1 + margin)))
		return level_ - 1;
	return level_;
}

uint64_t Adaptive::step(uint64_t now, uint64_t budget_ns, const reframer_stats &stats)
{
	if (rushed_) {
		rushed_ = false;
		forget();
		begin(now, budget_ns, stats);
		return delay_of(level_, budget_ns);
	}
	if (settling_) {
		begin(now, budget_ns, stats);
		return delay_of(level_, budget_ns);
	}
	const uint64_t elapsed = now - begun_;
	const uint64_t packets = stats.packets_out - packets_;
	// A slow trickle is waited for, but not for ever: it is idle.
	const uint64_t least = std::max(epoch_delays * delay_of(level_, budget_ns), epoch_least_ns);
	if (packets < epoch_packets && elapsed < 8 * least) {
		next_look_ = now + least / 4;
		return delay_of(level_, budget_ns);
	}
	epoch_++;
	const Need what = need(packets, elapsed, budget_ns);
	const bool cycles = what != Need::unknown && reported_ > 0 && busy_ > 0;
	if (packets > 0 && (what == Need::pressed || what == Need::unknown)) {
		const double runs = static_cast<double>(stats.runs_out - runs_);
		const double cost = cycles ? static_cast<double>(busy_) / static_cast<double>(reported_)
		                           : runs / static_cast<double>(packets);
		packet_ns_ = cycles && total_
		                 ? busy() * static_cast<double>(elapsed) / static_cast<double>(packets)
		                 : 0;
		cost_[level_] = fresh(level_) ? (cost_[level_] + cost) / 2 : cost;
		measured_[level_] = epoch_;
	}
	uint32_t next = level_;
	if (what == Need::relaxed) {
		next = relax();
		calm_ = true;
		trying_ = checking_ = false;
	} else if (what != Need::steady) {
		if (calm_ && level_ == 0) {
			const double cost = cost_[0];
			forget();
			cost_[0] = cost;
			measured_[0] = epoch_;
		}
		next = choose(now, cycles ? margin_cycles : margin_runs);
	}
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
