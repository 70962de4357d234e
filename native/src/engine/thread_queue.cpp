#include "engine/thread_queue.hpp"

#include "engine/cores.hpp"
#include "engine/order_of_flows.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <thread>
#include <x86intrin.h>

namespace reframer::engine {

namespace {

// From the call to the first arrival: the second thread must be on its core by then.
constexpr double head_start_ns = 200e3;

} // namespace

ThreadQueue::ThreadQueue(const QueueConfig &config, reframer_stage *stage, nf::Chain &chain, int nic_core)
    : config_(config), stage_(stage), loop_(config, stage, chain), nic_core_(nic_core),
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

	std::atomic<int> ready{0}; // -1: no such core
	std::atomic<bool> go{false};
	std::jthread nic([&] {
		ready = pin(pthread_self(), nic_core_) ? 1 : -1;
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
	uint64_t fed = 0, taken = 0;
	for (size_t i = 0; i < arrivals.size(); i++) {
		const Arrival &a = arrivals[i];
		const double after = static_cast<double>(a.time_ns) - config_.start_ns;
		const uint64_t due = origin_ + static_cast<uint64_t>(std::max(0.0, after) * ticks_per_ns);
		while (__rdtsc() < due)
			_mm_pause();
		if (fed - taken == config_.ring_depth)
			taken = loop_.taken();
		if (fed - taken == config_.ring_depth)
			continue;
		const uint32_t captured = std::min<uint32_t>(a.captured, nf::Mbuf::data_room);
		write_received(loop_.descriptor(fed),
		               {loop_.posted(fed), captured, a.wire, a.rss, static_cast<uint32_t>(i), loop_.lap(fed)},
		               a.data);
		accepted_[i] = 1;
		fed++;
	}
	fed_.store(fed, std::memory_order_relaxed);
}

// One poll, in the log if it did something. Returns the time after it.
uint64_t ThreadQueue::poll(uint64_t start, bool draining)
{
	loop_.take(static_cast<uint64_t>(std::max(0.0, ns_at(start))), draining, nullptr);
	loop_.process();
	const uint64_t stop = __rdtsc();
	if (loop_.received() == 0 && loop_.processed() == 0) {
		result_.empty_polls += in_window(start);
		return stop;
	}
	for (const nf::Mbuf *m : loop_.sent())
		departed_[nb_departed_++] = m->mark;
	polls_[nb_polls_++] = {start, stop, loop_.received(), loop_.processed(),
	                       static_cast<uint32_t>(loop_.sent().size())};
	return __rdtsc();
}

void ThreadQueue::consume(double until_ns)
{
	uint64_t now = __rdtsc();
	while (ns_at(now) <= until_ns || feeding_.load(std::memory_order_acquire) ||
	       loop_.taken() != fed_.load(std::memory_order_relaxed))
		now = poll(now, false);
	while (loop_.in_stage() > 0)
		now = poll(now, true);
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
	r.thinned = loop_.thinned();
	r.held = fed_.load() - loop_.taken() + loop_.in_stage();
}

} // namespace reframer::engine
