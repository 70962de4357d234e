#include "engine/virtual_queue.hpp"

#include "engine/tsc.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace reframer::engine {

namespace {

// Transmit descriptors, as many as the original's device under test had.
constexpr uint32_t tx_ring_size = 1024;
// Packets that one reframer_poll() may give out.
constexpr uint32_t release_room = 256;

} // namespace

VirtualQueue::VirtualQueue(const QueueConfig &config, reframer_stage *stage, nf::Chain &chain,
                           Dma &dma)
    : config_(config), stage_(stage), chain_(chain), dma_(dma), clock_(config.start_ns),
      ns_per_tick_(1e9 / config.tsc_hz), ring_(config.ring_depth), posted_(config.ring_depth), tx_ring_(tx_ring_size),
      marker_(config.worst_packet_ns)
{
	uint32_t held = stage ? config.max_held : 0;
	// All that may be held or come out of one poll, twice: once in use, once sent and not yet free.
	uint32_t room = held + config.burst + release_room;
	uint32_t buffers = config.ring_depth + 2 * room;
	pool_ = nf::Region<uint8_t>(size_t{buffers} * nf::Mbuf::stride);
	notes_.resize(buffers);
	free_.reserve(buffers);
	for (uint32_t i = buffers; i-- > 0;) {
		buffer(i)->index = i;
		free_.push_back(buffer(i));
	}
	for (uint32_t i = 0; i < config.ring_depth; i++) {
		posted_[i] = free_.back();
		free_.pop_back();
	}
	received_.resize(config.burst);
	data_.resize(config.burst);
	captured_.resize(config.burst);
	wire_.resize(config.burst);
	hash_.resize(config.burst);
	out_.resize(room);
	dropped_.resize(room);
	runs_.resize(room);
	sent_.reserve(room);
	if (config_.service_ns <= 0)
		empty_poll_ns_ = measure_empty_poll();
}

double VirtualQueue::measure_empty_poll()
{
	std::array<double, 501> cost;
	for (double &c : cost) {
		uint64_t start = tsc_start();
		uint32_t nb_runs = 0;
		uint32_t n = receive();
		if (stage_)
			n += stage_burst(n, static_cast<uint64_t>(clock_), false, nb_runs);
		uint64_t stop = tsc_stop();
		c = static_cast<double>(stop - start + n) * ns_per_tick_;
	}
	std::nth_element(cost.begin(), cost.begin() + 250, cost.end());
	return cost[250];
}

void VirtualQueue::run(std::span<const Arrival> arrivals, double until_ns)
{
	next_ = 0;
	while (true) {
		admit(arrivals);
		if (clock_ > until_ns)
			break;
		if (count_ == 0) {
			double next = next_ < arrivals.size() ? static_cast<double>(arrivals[next_].time_ns) : HUGE_VAL;
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
					clock_ += polls * empty_poll_ns_;
				} else {
					clock_ = next;
				}
				continue;
			}
		}
		poll(false);
	}
	if (next_ < arrivals.size())
		throw std::logic_error("an arrival lies after the time up to which the queue runs");
	check_order();
}

void VirtualQueue::drain()
{
	while (count_ > 0)
		poll(false);
	if (stage_) {
		struct reframer_stats stats;
		do {
			poll(true);
			reframer_get_stats(stage_, &stats);
		} while (stats.packets_held > 0);
	}
	dma_.settle();
	check_order();
}

// Lets in what has arrived by the clock. The ring has only been emptied at the start of the last
// poll, so taking arrivals in order gives the drops that would have happened at their times.
void VirtualQueue::admit(std::span<const Arrival> arrivals)
{
	for (; next_ < arrivals.size() && static_cast<double>(arrivals[next_].time_ns) <= clock_; next_++) {
		const Arrival &a = arrivals[next_];
		bool window = in_window(static_cast<double>(a.time_ns));
		uint64_t number = number_++;
		result_.arrived++;
		if (window) {
			result_.offered_packets++;
			result_.offered_bits += uint64_t{a.wire} * 8;
		}
		if (count_ == config_.ring_depth) {
			result_.ring_dropped++;
			result_.window_ring_dropped += window;
			result_.watched_ring_dropped += window && a.flow < config_.watched_flows;
			continue;
		}
		uint32_t slot = (head_ + count_++) % config_.ring_depth;
		nf::Mbuf *m = posted_[slot];
		uint32_t captured = std::min<uint32_t>(a.captured, nf::Mbuf::data_room);
		dma_.receive(&ring_[slot], m, a.data, captured, a.wire, a.rss);
		notes_[m->index] = {a.origin_ns ? a.origin_ns : a.time_ns, number, a.flow};
		if (window) {
			result_.packets_in++;
			result_.runs_in += a.flow != last_flow_in_;
		}
		last_flow_in_ = a.flow;
	}
}

// The driver's part of a poll: descriptors to buffers, fresh buffers into the ring.
uint32_t VirtualQueue::receive()
{
	uint32_t n = std::min(count_, config_.burst);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = head_;
		const Descriptor &d = ring_[slot];
		nf::Mbuf *m = d.buffer;
		m->captured = d.captured;
		m->wire = d.wire;
		m->rss = d.rss;
		received_[i] = m;
		posted_[slot] = free_.back();
		free_.pop_back();
		head_ = head_ + 1 == config_.ring_depth ? 0 : head_ + 1;
	}
	count_ -= n;
	return n;
}

// Through the stage: `n` received packets in, what is due out to out_ and runs_.
uint32_t VirtualQueue::stage_burst(uint32_t n, uint64_t now, bool draining, uint32_t &nb_runs)
{
	if (n) {
		for (uint32_t i = 0; i < n; i++) {
			nf::Mbuf *m = received_[i];
			data_[i] = m->data();
			if (config_.look_ahead) // into the second level: the chain comes for it when the hold ends
				__builtin_prefetch(m->data(), 0, 2);
			captured_[i] = m->captured;
			wire_[i] = m->wire;
			hash_[i] = m->rss;
		}
		reframer_burst burst = {reinterpret_cast<void *const *>(received_.data()), data_.data(),
		                        captured_.data(), wire_.data(),
		                        config_.nic_hash ? hash_.data() : nullptr, n};
		if (reframer_push(stage_, &burst, now) != n)
			throw std::logic_error("the stage took fewer packets than it promises");
	}
	uint32_t out = 0, got = 0;
	nb_runs = 0;
	auto most = static_cast<uint32_t>(out_.size());
	if (config_.release_max) {
		// At least so many that the stage has room for the next burst, which it would else refuse.
		uint64_t after = in_stage_ + n + config_.burst;
		uint64_t excess = after > config_.max_held ? after - config_.max_held : 0;
		most = static_cast<uint32_t>(std::min<uint64_t>(most, std::max<uint64_t>(config_.release_max, excess)));
	}
	do {
		uint32_t room = std::min<uint32_t>(release_room, most - out);
		uint32_t runs = room;
		auto to = reinterpret_cast<void **>(out_.data() + out);
		got = draining ? reframer_drain(stage_, now, to, room, runs_.data() + nb_runs, &runs)
		               : reframer_poll(stage_, now, to, room, runs_.data() + nb_runs, &runs);
		for (uint32_t r = 0; out && r < runs; r++)
			runs_[nb_runs + r].first += out;
		nb_runs += runs;
		out += got;
		if (got < room)
			break;
	} while (out < most);
	while (config_.thins) {
		nf::Mbuf *thinned[32];
		uint32_t taken = reframer_take_thinned(stage_, reinterpret_cast<void **>(thinned), 32);
		free_.insert(free_.end(), thinned, thinned + taken); // room for every buffer is reserved
		result_.thinned += taken;
		in_stage_ -= taken;
		if (taken < 32)
			break;
	}
	return out;
}

void VirtualQueue::poll(bool draining)
{
	dma_.settle();
	double start = clock_;
	uint64_t t0 = tsc_start();
	uint32_t n = receive(), out, nb_runs = 0;
	if (stage_) {
		if (config_.report_load) {
			reframer_load load = {count_, config_.ring_depth, static_cast<uint64_t>(report_busy_),
			                      static_cast<uint64_t>(clock_ - report_clock_), report_packets_};
			reframer_report_load(stage_, &load);
		}
		out = stage_burst(n, static_cast<uint64_t>(clock_), draining, nb_runs);
	} else {
		out = n;
		out_.swap(received_);
	}
	uint64_t t1 = tsc_start();
	uint32_t kept = out ? chain_.process(out_.data(), out, nb_runs ? runs_.data() : nullptr, nb_runs,
	                                     dropped_.data())
	                    : 0;
	// Transmit: what was sent before is free now, then descriptors for what leaves.
	for (nf::Mbuf *m : sent_)
		free_.push_back(m);
	sent_.clear();
	for (uint32_t i = 0; i < kept; i++) {
		nf::Mbuf *m = out_[i];
		tx_ring_[tx_head_++ % tx_ring_size] = {m->data(), m->captured};
		sent_.push_back(m);
	}
	for (uint32_t i = 0; i < out - kept; i++)
		free_.push_back(dropped_[i]);
	uint64_t t2 = tsc_stop();

	double stage_ns = static_cast<double>(t1 - t0) * ns_per_tick_;
	double chain_ns = static_cast<double>(t2 - t1) * ns_per_tick_;
	double cost = stage_ns + chain_ns;
	result_.polls++;
	result_.total_ns += cost;
	if (config_.service_ns > 0) {
		cost = config_.service_ns * out;
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
	clock_ += cost;
	if (in_window(start)) {
		result_.busy_polls++;
		result_.polled += n;
		result_.processed += out;
		result_.busy_ns += cost;
		result_.stage_ns += stage_ns;
		result_.chain_ns += chain_ns;
	}
	account(n, kept, out - kept, start);
}

// What a poll that took `ns` is charged; books it as interrupted or preempted if it was.
double VirtualQueue::charge(uint32_t received, uint32_t processed, double ns)
{
	Away away;
	const double charged = marker_.charge(received, processed, ns, away);
	if (away == Away::no)
		return ns;
	if (away == Away::preempted) {
		result_.preempted++;
		result_.preempted_ns += ns;
	} else {
		result_.interrupted++;
		result_.interrupted_ns += ns;
	}
	return config_.keep_marked ? ns : charged;
}

// Books what left. `received` of this poll may still be in the stage.
void VirtualQueue::account(uint32_t received, uint32_t kept, uint32_t dropped, double start)
{
	bool window = in_window(clock_);
	in_stage_ += received;
	in_stage_ -= kept + dropped;
	result_.departed += kept;
	result_.nf_dropped += dropped;
	if (in_window(start))
		result_.window_nf_dropped += dropped;
	for (uint32_t i = 0; i < kept; i++) {
		const nf::Mbuf *m = sent_[i];
		const Note &note = notes_[m->index];
		departures_.push_back({note.number, note.flow});
		if (window) {
			result_.departed_packets++;
			result_.departed_bits += uint64_t{m->wire} * 8;
			result_.packets_out++;
			result_.runs_out += note.flow != last_flow_out_;
			const auto latency = static_cast<uint64_t>(clock_ - static_cast<double>(note.time_ns));
			result_.latency.add(latency);
			if (note.flow < config_.watched_flows)
				result_.watched_latency.add(latency);
			if (config_.sensitive_protocol && m->captured > 23 && m->data()[12] == 8 && m->data()[13] == 0 &&
			    m->data()[23] == config_.sensitive_protocol)
				result_.sensitive_latency.add(latency);
		}
		last_flow_out_ = note.flow;
		dma_.transmit(m, note.number);
		if (on_departure)
			on_departure(*m, clock_);
		if (on_hand_over)
			on_hand_over(*m, clock_, note.time_ns, note.flow);
	}
}

// Of each flow, numbers must rise.
void VirtualQueue::check_order()
{
	for (const Departure &d : departures_) {
		if (d.flow >= last_of_flow_.size())
			last_of_flow_.resize(std::max<size_t>(d.flow + 1, last_of_flow_.size() * 2));
		uint64_t &last = last_of_flow_[d.flow];
		if (d.number + 1 <= last)
			result_.reordered++;
		else
			last = d.number + 1;
	}
	departures_.clear();
}

const QueueResult &VirtualQueue::result()
{
	result_.held = count_ + in_stage_;
	return result_;
}

} // namespace reframer::engine
