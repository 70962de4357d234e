#include "datapath/ports/virtual_queue.hpp"

#include "measure/median.hpp"
#include "measure/tsc.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace reframer::engine {

namespace {

// Of ten seconds of polling where a hypervisor interrupts 1,700 times a second.
constexpr size_t absences_max = 1 << 15;

} // namespace

VirtualQueue::VirtualQueue(const QueueConfig &config, reframer_stage *stage, nf::Chain &chain,
                           Dma &dma)
	: config_(config), port_(config, BufferStage::most_out(config, stage)),
	  buffer_stage_(config, stage, port_), loop_(port_, buffer_stage_, chain), dma_(dma),
	  clock_(config.start_ns), ns_per_tick_(1e9 / config.tsc_hz), stage_(stage),
	  notes_(port_.nb_buffers()), in_slot_(config.ring_depth), marker_(config.worst_packet_ns)
{
	result_.absences = Absences(absences_max);
	if (config_.service_ns <= 0)
		empty_poll_ns_ = measure_empty_poll();
}

double VirtualQueue::measure_empty_poll()
{
	std::array<double, 501> cost;
	port_.set_time(static_cast<uint64_t>(clock_));
	for (double &c : cost) {
		uint64_t start = tsc_start();
		loop_.take(config_.burst, false);
		uint64_t stop = tsc_stop();
		c = static_cast<double>(stop - start) * ns_per_tick_;
	}
	return median_in_place(std::span<double>(cost));
}

void VirtualQueue::run(std::span<const Arrival> arrivals, double until_ns)
{
	next_ = 0;
	while (true) {
		const uint64_t stood = __rdtsc();
		dma_.run([&] {
			account();
			admit(arrivals);
		});
		if (config_.stand_twice)
			for (const uint64_t now = __rdtsc(); __rdtsc() - now < now - stood;)
				continue;
		if (clock_ > until_ns)
			break;
		// A loop that takes nothing from the ring, because the stage has enough, waits as one that
		// finds nothing.
		if (waiting() == 0 || held_back_) {
			held_back_ = false;
			double next =
				next_ < arrivals.size() ? static_cast<double>(arrivals[next_].time_ns) : HUGE_VAL;
			if (stage_) {
				uint64_t due = reframer_next_deadline(stage_);
				if (due != UINT64_MAX)
					next = std::min(next, static_cast<double>(due));
			}
			if (next > until_ns)
				break;
			if (next > clock_) {
				// A polling core finds the packet at the end of the empty poll during which it comes.
				double idle = next - clock_;
				if (empty_poll_ns_ > 0) {
					double polls = std::ceil(idle / empty_poll_ns_);
					if (in_window(clock_))
						result_.empty_polls += static_cast<uint64_t>(polls);
					clock_.spend(polls * empty_poll_ns_);
				} else {
					clock_.wait_until(next);
				}
				continue;
			}
		}
		poll(false);
	}
	if (next_ < arrivals.size())
		throw std::logic_error("an arrival lies after the time up to which the queue runs");
	dma_.run([&] { check_order(); });
}

void VirtualQueue::drain()
{
	const auto once = [&](bool draining) {
		poll(draining);
		dma_.run([&] { account(); });
	};
	while (waiting() > 0) {
		once(false);
		if (held_back_)
			once(true);
	}
	if (stage_) {
		struct reframer_stats stats;
		do {
			once(true);
			reframer_get_stats(stage_, &stats);
		} while (stats.packets_held > 0);
	}
	dma_.run([&] { check_order(); });
}

// Lets in what has arrived by the clock. The ring has only been emptied at the start of the last
// poll, so taking arrivals in order gives the drops that would have happened at their times.
void VirtualQueue::admit(std::span<const Arrival> arrivals)
{
	for (; next_ < arrivals.size() && static_cast<double>(arrivals[next_].time_ns) <= clock_;
	     next_++) {
		const Arrival &a = arrivals[next_];
		bool window = in_window(static_cast<double>(a.time_ns));
		const uint64_t number = number_++;
		result_.arrived++;
		if (window) {
			result_.offered_packets++;
			result_.offered_bits += uint64_t{a.wire} * 8;
		}
		if (waiting() == config_.ring_depth) {
			result_.ring_dropped++;
			result_.window_ring_dropped += window;
			result_.watched_ring_dropped += window && a.flow < config_.watched_flows;
			continue;
		}
		const uint64_t position = filled_++;
		dma_.receive(port_, position, a);
		const size_t buffer = port_.index_of(port_.posted(position));
		notes_[buffer] = {
			a.origin_ns ? a.origin_ns : a.time_ns, number, 0, a.flow, a.wire, buffer_bytes(a)};
		in_slot_[position % config_.ring_depth] = static_cast<uint32_t>(buffer);
		if (window) {
			result_.packets_in++;
			result_.runs_in += a.flow != last_flow_in_;
		}
		last_flow_in_ = a.flow;
	}
}

void VirtualQueue::poll(bool draining)
{
	double start = clock_;
	const uint64_t left = waiting() - std::min<uint64_t>(waiting(), config_.burst);
	const reframer_load load = {static_cast<uint32_t>(left), config_.ring_depth,
	                            static_cast<uint64_t>(report_busy_),
	                            static_cast<uint64_t>(clock_ - report_clock_), report_packets_};
	port_.set_time(static_cast<uint64_t>(clock_));
	buffer_stage_.set_load(config_.report_load ? &load : nullptr);
	uint64_t t0 = tsc_start();
	loop_.take(config_.burst, draining);
	uint64_t t1 = tsc_start();
	loop_.process();
	uint64_t t2 = tsc_stop();
	const uint32_t n = loop_.received(), out = loop_.processed();
	held_back_ = n == 0 && out == 0;

	double stage_ns = static_cast<double>(t1 - t0) * ns_per_tick_;
	double chain_ns = static_cast<double>(t2 - t1) * ns_per_tick_;
	double cost = stage_ns + chain_ns;
	result_.polls++;
	result_.total_ns += cost;
	if (config_.service_ns > 0) {
		cost = fixed_cost();
		stage_ns = 0;
		chain_ns = cost;
	} else {
		double charged = charge(n, out, cost);
		stage_ns *= charged / cost;
		chain_ns *= charged / cost;
		cost = charged;
	}
	report_clock_ = start;
	report_busy_ = cost;
	report_packets_ = out;
	clock_.spend(cost);
	if (in_window(start)) {
		result_.busy_polls++;
		result_.polled += n;
		result_.processed += out;
		result_.busy_ns += cost;
		result_.stage_ns += stage_ns;
		result_.chain_ns += chain_ns;
	}
	poll_start_ = start;
}

double VirtualQueue::fixed_cost()
{
	uint32_t runs = 0;
	for (const nf::Mbuf *m : port_.sent()) {
		const uint32_t flow = notes_[port_.index_of(m)].flow;
		runs += flow != last_flow_served_;
		last_flow_served_ = flow;
	}
	return config_.service_ns * loop_.processed() + config_.service_run_ns * runs;
}

// What a poll that took `ns` is charged; books the absence of the core if there was one.
double VirtualQueue::charge(uint32_t received, uint32_t processed, double ns)
{
	double excess_ns;
	const double charged = marker_.charge(received, processed, ns, excess_ns);
	if (excess_ns == 0)
		return ns;
	result_.absences.note(excess_ns, ns);
	return config_.keep_marked ? ns : charged;
}

// The hold of a packet is from the poll that takes it from the ring to the one that releases it.
void VirtualQueue::note_taken()
{
	for (; noted_ < port_.taken(); noted_++)
		notes_[in_slot_[noted_ % config_.ring_depth]].taken_ns = poll_start_;
}

// Books what left in the last poll, unless that has been done.
void VirtualQueue::account()
{
	if (poll_start_ < 0)
		return;
	note_taken();
	const double released_ns = poll_start_;
	const bool window = in_window(clock_);
	const auto sent = port_.sent();
	const uint64_t dropped = loop_.processed() - sent.size();
	result_.departed += sent.size();
	result_.nf_dropped += dropped;
	if (in_window(poll_start_))
		result_.window_nf_dropped += dropped;
	poll_start_ = -1;
	for (const nf::Mbuf *m : sent) {
		const Note &note = notes_[port_.index_of(m)];
		departures_.push_back({note.number, note.flow});
		const auto latency = static_cast<uint64_t>(clock_ - static_cast<double>(note.time_ns));
		const auto hold = static_cast<uint64_t>(released_ns - note.taken_ns);
		if (window) {
			result_.departed_packets++;
			result_.departed_bits += uint64_t{note.wire} * 8;
			result_.packets_out++;
			result_.runs_out += note.flow != last_flow_out_;
			result_.latency.add(latency);
			result_.hold.add(hold);
			result_.own_latency.add(latency - std::min(hold, latency));
			if (note.flow < config_.watched_flows) {
				result_.watched_latency.add(latency);
				result_.watched_own_latency.add(latency - std::min(hold, latency));
			}
			if (config_.sensitive_protocol && note.captured > 23 && m->data()[12] == 8 &&
			    m->data()[13] == 0 && m->data()[23] == config_.sensitive_protocol)
				result_.sensitive_latency.add(latency);
		}
		last_flow_out_ = note.flow;
		dma_.transmit(m->data(), note.captured, note.number);
		if (on_departure)
			on_departure(*m, clock_);
		if (on_left)
			on_left(*m, {note.flow, clock_, latency, hold});
		if (on_hand_over)
			on_hand_over(*m, clock_, note.time_ns, note.flow);
	}
}

// Of each flow, numbers must rise.
void VirtualQueue::check_order()
{
	for (const Departure &d : departures_)
		result_.reordered += !order_.leaves(d.flow, d.number);
	departures_.clear();
}

const QueueResult &VirtualQueue::result()
{
	result_.held = waiting() + buffer_stage_.held();
	result_.thinned = buffer_stage_.thinned();
	return result_;
}

} // namespace reframer::engine
