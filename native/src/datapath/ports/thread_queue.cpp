#include "datapath/ports/thread_queue.hpp"

#include "base/cores.hpp"
#include "measure/order_of_flows.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <thread>
#include <x86intrin.h>

namespace reframer::engine {

namespace {

// From the call to the first arrival: the second thread must be on its core by then.
constexpr double head_start_ns = 200e3;
// Longer than the second thread takes for any packet, shorter than nearly all interrupts.
constexpr double away_ns = 2e3;
// Room for so many times away: 10 ms of a core that is away 1000 times a second, and again as often.
constexpr size_t most_away = 4096;
// It asks for a frame, which it reads from memory, so many packets before that one is due.
constexpr size_t frames_ahead = 8;

} // namespace

ThreadQueue::ThreadQueue(const QueueConfig &config, reframer_stage *stage, nf::Chain &chain,
                         int nic_core)
	: config_(config), port_(config, BufferStage::most_out(config, stage)),
	  stage_(config, stage, port_), loop_(port_, stage_, chain), nic_core_(nic_core),
	  ns_per_tick_(1e9 / config.tsc_hz)
{
}

void ThreadQueue::run(std::span<const Arrival> arrivals, double until_ns)
{
	// Written once here, so that no page fault falls into the run. A poll that does something takes
	// or releases a packet.
	accepted_.resize(arrivals.size());
	departed_.resize(arrivals.size());
	polls_.resize(2 * arrivals.size() + 1);
	away_.resize(most_away);
	away_.clear();

	std::atomic<int> ready{0}; // -1: no such core
	std::atomic<bool> go{false};
	std::jthread nic([&] {
		ready = base::pin(pthread_self(), nic_core_) ? 1 : -1;
		while (ready == 1 && !go)
			_mm_pause();
		if (ready == 1)
			feed(arrivals);
		feeding_.store(false, std::memory_order_release);
	});
	while (ready == 0)
		_mm_pause();
	if (ready < 0)
		throw std::runtime_error("cannot run on core " + std::to_string(nic_core_));
	const auto ticks_at = [&](double ns) {
		return origin_ + static_cast<uint64_t>(std::max(0.0, ns - config_.start_ns) / ns_per_tick_);
	};
	origin_ = __rdtsc() + static_cast<uint64_t>(head_start_ns / ns_per_tick_);
	window_start_ = ticks_at(config_.window_start_ns);
	window_end_ = ticks_at(config_.window_end_ns);
	go = true;
	consume(until_ns);
	nic.join();
	account(arrivals);
}

// The NIC: by the clock, into the ring or away.
void ThreadQueue::feed(std::span<const Arrival> arrivals)
{
	const double ticks_per_ns = 1 / ns_per_tick_;
	const auto away_ticks = static_cast<uint64_t>(away_ns * ticks_per_ns);
	uint64_t fed = 0, taken = 0, last = __rdtsc();
	const auto now = [&] {
		const uint64_t t = __rdtsc();
		if (t - last > away_ticks && away_.size() < most_away)
			away_.push_back({last, t});
		return last = t;
	};
	for (size_t i = 0; i < arrivals.size(); i++) {
		const Arrival &a = arrivals[i];
		const uint8_t *ahead = arrivals[std::min(i + frames_ahead, arrivals.size() - 1)].data;
		for (uint32_t line = 0; line < buffer_bytes(a); line += 64)
			__builtin_prefetch(ahead + line);
		const double after = static_cast<double>(a.time_ns) - config_.start_ns;
		const uint64_t due = origin_ + static_cast<uint64_t>(std::max(0.0, after) * ticks_per_ns);
		while (now() < due)
			continue;
		if (fed - taken == config_.ring_depth)
			taken = port_.taken();
		if (fed - taken == config_.ring_depth)
			continue;
		port_.fill(fed, a, static_cast<uint32_t>(i));
		accepted_[i] = 1;
		fed++;
	}
	fed_.store(fed, std::memory_order_relaxed);
}

// One poll, in the log if it did something. Returns the time after it.
uint64_t ThreadQueue::poll(uint64_t start, bool draining)
{
	port_.set_time(static_cast<uint64_t>(std::max(0.0, ns_at(start))));
	loop_.poll(config_.burst, draining);
	const uint64_t stop = __rdtsc();
	if (loop_.received() == 0 && loop_.processed() == 0) {
		result_.empty_polls += in_window(start);
		return stop;
	}
	for (const nf::Mbuf *m : port_.sent())
		departed_[nb_departed_++] = m->mark;
	polls_[nb_polls_++] = {start, stop, loop_.received(), loop_.processed(),
	                       static_cast<uint32_t>(port_.sent().size())};
	return __rdtsc();
}

void ThreadQueue::consume(double until_ns)
{
	uint64_t now = __rdtsc();
	while (ns_at(now) <= until_ns || feeding_.load(std::memory_order_acquire) ||
	       port_.taken() != fed_.load(std::memory_order_relaxed))
		now = poll(now, false);
	while (stage_.held() > 0)
		now = poll(now, true);
}

// Ticks of the window between two polls that did something, as far as the NIC's core was away then.
double ThreadQueue::starved_ticks() const
{
	uint64_t ticks = 0;
	auto away = away_.begin();
	for (size_t p = 0; p + 1 < nb_polls_; p++) {
		const uint64_t from = std::max(polls_[p].stop, window_start_),
					   to = std::min(polls_[p + 1].start, window_end_);
		while (away != away_.end() && away->stop <= from)
			away++;
		for (auto a = away; from < to && a != away_.end() && a->start < to; a++)
			ticks += std::min(a->stop, to) - std::max(a->start, from);
	}
	return static_cast<double>(ticks);
}

// The log against what arrived.
void ThreadQueue::account(std::span<const Arrival> arrivals)
{
	QueueResult &r = result_;
	OrderOfFlows order;
	uint32_t last_flow = ~0u;
	for (size_t i = 0; i < arrivals.size(); i++) {
		const Arrival &a = arrivals[i];
		const auto at = static_cast<double>(a.time_ns);
		const bool window = at >= config_.window_start_ns && at < config_.window_end_ns;
		r.arrived++;
		r.ring_dropped += !accepted_[i];
		if (window) {
			r.offered_packets++;
			r.offered_bits += uint64_t{a.wire} * 8;
			r.window_ring_dropped += !accepted_[i];
		}
		if (!accepted_[i])
			continue;
		r.packets_in += window;
		r.runs_in += window && a.flow != last_flow;
		last_flow = a.flow;
	}
	const uint32_t *mark = departed_.data();
	last_flow = ~0u;
	for (size_t p = 0; p < nb_polls_; p++) {
		const Poll &poll = polls_[p];
		const double ns = static_cast<double>(poll.stop - poll.start) * ns_per_tick_;
		const uint32_t dropped = poll.processed - poll.sent;
		r.polls++;
		r.total_ns += ns;
		r.departed += poll.sent;
		r.nf_dropped += dropped;
		if (in_window(poll.start)) {
			r.busy_polls++;
			r.polled += poll.received;
			r.processed += poll.processed;
			r.busy_ns += ns;
			r.window_nf_dropped += dropped;
		}
		const bool window = in_window(poll.stop);
		for (const uint32_t *end = mark + poll.sent; mark != end; mark++) {
			const Arrival &a = arrivals[*mark];
			r.reordered += !order.leaves(a.flow, *mark);
			if (window) {
				r.departed_packets++;
				r.departed_bits += uint64_t{a.wire} * 8;
				r.packets_out++;
				r.runs_out += a.flow != last_flow;
				const double latency = ns_at(poll.stop) - static_cast<double>(a.time_ns);
				r.latency.add(static_cast<uint64_t>(std::max(0.0, latency)));
			}
			last_flow = a.flow;
		}
	}
	r.starved_ns = starved_ticks() * ns_per_tick_;
	r.thinned = stage_.thinned();
	r.held = fed_.load() - port_.taken() + stage_.held();
}

} // namespace reframer::engine
