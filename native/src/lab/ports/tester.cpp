#include "lab/ports/tester.hpp"

#include "lab/ports/stamp.hpp"
#include "lab/reframer/trial_source.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace reframer::dpdk {

namespace {

constexpr uint16_t burst = 32;
// Frames of a queue that the port has not taken yet: then the next ones wait, and are late.
constexpr uint32_t staged_most = 64;
constexpr unsigned phase_shift = 30; // in a stamp's flow
constexpr uint32_t flow_mask = (1u << phase_shift) - 1;
// Load goes on while the window's last packets are under way, so long at most.
constexpr uint64_t cool_down_ns = 50'000'000;
constexpr uint64_t fill_step_ns = 1'000'000;
constexpr size_t arena_most = 512u << 20;
constexpr uint32_t link_seconds = 10;
constexpr auto stalled_most = std::chrono::seconds(3);
constexpr auto late_most = std::chrono::seconds(10);

// The other end may come up later, but not never.
void await_link(uint16_t port)
{
	for (uint32_t tries = 0;; tries++) {
		rte_eth_link link = {};
		if (rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP)
			return;
		if (tries == link_seconds * 50)
			throw lab::JobError("no-link", port_name(port) + " has no link after " +
			                                   std::to_string(link_seconds) +
			                                   " s: is the other end up?");
		std::this_thread::sleep_for(std::chrono::milliseconds(20));
	}
}

} // namespace

struct Tester::Staged {
	rte_mbuf *packets[staged_most];
	uint32_t nb = 0;
};

Tester::Tester(const TesterConfig &config, const PollerCpus &cpus, Begun)
	: config_(config), cpus_(cpus)
{
}

// What throws below ends what was begun: by then a constructor has run, so that the destructor does.
Tester::Tester(const TesterConfig &config, const PollerCpus &cpus) : Tester(config, cpus, Begun())
{
	cpus.require(config.nb_cores);
	tx_ = port_named(config.tx);
	rx_ = port_named(config.rx);
	prepare_frames();
	const uint32_t ports = tx_ == rx_ ? 1 : 2;
	const uint32_t nb_rx = config.nb_rx_queues ? config.nb_rx_queues : config.nb_queues;
	const uint32_t nb_buffers =
		ports * std::max(config.nb_queues, nb_rx) * (2 * config.nb_descriptors + 2 * staged_most) +
		8192;
	// Of frames that are longer than the port's MTU it is the port that says so.
	PortWish buffers = config.port;
	buffers.mtu = std::max(buffers.mtu, uint16_t(config.longest));
	pool_ = make_port_pool("reframer_tester", nb_buffers, 0, tx_, buffers,
	                       "give EAL more by -m, or lower descriptors");
	PortUse use;
	use.nb_queues = uint16_t(nb_rx);
	use.nb_tx_queues = uint16_t(config.nb_queues);
	use.nb_descriptors = uint16_t(config.nb_descriptors);
	use.wish = config.port;
	grants_.push_back(start_port(tx_, use, pool_));
	if (tx_ != rx_)
		grants_.push_back(start_port(rx_, use, pool_));
	for (uint32_t q = 0; q < config.nb_queues; q++)
		staged_.push_back(std::make_unique<Staged>());
	await_link(tx_);
	await_link(rx_);
}

Tester::~Tester()
{
	stop(true);
	for (const auto &staged : staged_)
		rte_pktmbuf_free_bulk(staged->packets, staged->nb);
	close_port(tx_);
	if (tx_ != rx_)
		close_port(rx_);
	rte_mempool_free(pool_);
}

// Frames as they will be sent, but for the stamps: with room for one, and their sums.
void Tester::prepare_frames()
{
	lab::Arena arena(std::min<size_t>(arena_most, size_t{config_.nb_frames} * 2048));
	std::vector<std::vector<engine::Arrival>> arrivals(1);
	const auto source = lab::open_trial_source(config_.source);
	// A capture may be shorter: then there are the frames that it has.
	uint64_t until = 0;
	for (size_t before = 0, silent = 0; arrivals[0].size() < config_.nb_frames && silent < 1000;) {
		until += fill_step_ns;
		if (source->fill(until, arena, arrivals) < until)
			break;
		silent = arrivals[0].size() == before ? silent + 1 : 0;
		before = arrivals[0].size();
	}
	arrivals[0].resize(std::min<size_t>(arrivals[0].size(), config_.nb_frames));
	if (arrivals[0].empty())
		throw lab::JobError("failed", "the source has no frame to send");
	nb_flows_ = 0;
	size_t bytes = 0;
	for (const engine::Arrival &a : arrivals[0])
		bytes += std::min(std::max(a.wire, a.captured), config_.longest) + 2 * stamp_bytes;
	bytes_.resize(bytes);
	uint8_t *at = bytes_.data();
	for (const engine::Arrival &a : arrivals[0]) {
		const uint32_t whole =
			std::min(std::max(a.wire, a.captured), config_.longest - stamp_bytes);
		const uint32_t captured = std::min(a.captured, whole);
		std::memcpy(at, a.data, captured);
		const uint32_t length =
			std::clamp<uint32_t>(stamped_length(at, captured, whole), 60, whole + stamp_bytes);
		frames_.push_back({at, captured, length, a.flow & flow_mask,
		                   uint16_t(a.rss % config_.buckets % config_.nb_queues),
		                   ones_sum(at + length - stamp_bytes, stamp_bytes),
		                   a.time_ns - arrivals[0][0].time_ns});
		nb_flows_ = std::max<uint64_t>(nb_flows_, (a.flow & flow_mask) + 1);
		loop_bits_ += length * 8.0;
		at += length;
	}
	// The gap before the first frame of the next round is a mean one.
	loop_ns_ = double(frames_.back().time_ns) * double(frames_.size() + 1) / double(frames_.size());
	loop_ns_ = std::max(loop_ns_, 1.0);
}

void Tester::start(const TesterLoad &load)
{
	stop(true);
	load_ = load;
	result_ = {};
	arrivals_ = {};
	foreign_ = 0;
	next_ = 0;
	sent_ = received_ = window_sent_ = 0;
	stopping_ = done_sending_ = ending_ = false;
	last_sent_ = last_received_ = window_began_ = window_ended_ = 0;
	if (getrandom(&magic_, sizeof(magic_), 0) != sizeof(magic_))
		throw lab::JobError("failed", "the kernel gives no random numbers");
	next_sequence_.assign(nb_flows_, 0);
	highest_.assign(nb_flows_, 0);
	cycles_per_ns_ = double(rte_get_tsc_hz()) * 1e-9;
	const double frames = double(frames_.size());
	const double loop_s = load.pps > 0   ? frames / load.pps
	                      : load.bps > 0 ? loop_bits_ / load.bps
	                                     : 0;
	ns_scale_ = loop_s * 1e9 / loop_ns_;
	began_ = rte_rdtsc();
	phase_ = warm_up;
	ends_ = UINT64_MAX;
	const bool one = config_.nb_cores == 1;
	pollers_.push_back(cpus_.start(0, "tester-tx", [this, one] { run(true, one); }));
	if (!one)
		pollers_.push_back(cpus_.start(1, "tester-rx", [this] { run(false, true); }));
}

bool Tester::sending() const
{
	return !pollers_.empty() && !done_sending_.load(std::memory_order_acquire);
}

uint64_t Tester::due_at(uint64_t number) const
{
	const uint64_t round = number / frames_.size();
	const double ns = double(round) * loop_ns_ + double(frames_[number % frames_.size()].time_ns);
	return began_ + uint64_t(ns * ns_scale_ * cycles_per_ns_);
}

double Tester::reached_share(uint64_t now) const
{
	const uint64_t due = ns_scale_ > 0 ? due_at(next_) : now;
	return due >= now || now == began_ ? 1 : 1 - double(now - due) / double(now - began_);
}

void Tester::end_window(uint64_t now)
{
	if (phase_ != window || window_ended_ != 0)
		return;
	window_ended_ = now;
	result_.reached_share = reached_share(now);
}

void Tester::enter(TesterPhase phase, uint64_t now)
{
	if (phase == window)
		window_began_ = now;
	end_window(now);
	phase_ = phase;
	if (phase == cool_down)
		ends_ = load_.packets ? now : now + uint64_t(double(cool_down_ns) * cycles_per_ns_);
}

// Sends what is due; false where nothing was.
bool Tester::send_due(uint64_t now)
{
	if (done_sending_.load(std::memory_order_relaxed))
		return false;
	const auto cycles = [&](uint64_t ns) { return uint64_t(double(ns) * cycles_per_ns_); };
	TesterCounts &of_window = result_.phases[window];
	if (phase_ == warm_up && now - began_ >= cycles(load_.warmup_ns))
		enter(window, now);
	if (phase_ == window && ((load_.window_ns && now - window_began_ >= cycles(load_.window_ns)) ||
	                         (load_.packets && of_window.sent >= load_.packets)))
		enter(cool_down, now);
	const bool stop = stopping_.load(std::memory_order_relaxed);
	if (stop || now >= ends_) {
		end_window(now);
		bool left = false;
		for (uint32_t q = 0; q < staged_.size(); q++)
			left |= !flush(q);
		if (!left || now - std::max(last_sent_, began_) > cycles(load_.grace_ns))
			done_sending_.store(true, std::memory_order_release);
		return true;
	}
	uint32_t n = 0;
	for (; n < burst; n++) {
		const Frame &frame = frames_[next_ % frames_.size()];
		const uint64_t due = ns_scale_ > 0 ? due_at(next_) : now;
		if (due > now || (load_.packets && phase_ == window && of_window.sent >= load_.packets))
			break;
		// Where some come twice, more than were sent.
		if (load_.in_flight && sent_.load(std::memory_order_relaxed) >=
		                           received_.load(std::memory_order_acquire) + load_.in_flight)
			break;
		Staged &staged = *staged_[frame.queue];
		if (staged.nb == staged_most)
			break;
		rte_mbuf *packet = rte_pktmbuf_alloc(pool_);
		if (packet == nullptr)
			break;
		auto *data = rte_pktmbuf_mtod(packet, uint8_t *);
		std::memcpy(data, frame.data, frame.length);
		const uint32_t sequence = ++next_sequence_[frame.flow];
		write_stamp(data + frame.length - stamp_bytes, frame.sum, magic_,
		            frame.flow | uint32_t{phase_} << phase_shift, sequence, rte_rdtsc());
		packet->data_len = uint16_t(frame.length);
		packet->pkt_len = frame.length;
		staged.packets[staged.nb++] = packet;
		TesterCounts &counts = result_.phases[phase_];
		counts.sent++;
		counts.bits += uint64_t{frame.length} * 8;
		result_.late_ns = std::max(result_.late_ns, double(now - due) / cycles_per_ns_);
		next_++;
		sent_.store(sent_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
	}
	if (n > 0)
		last_sent_ = now;
	for (uint32_t q = 0; q < staged_.size(); q++)
		flush(q);
	return n > 0;
}

bool Tester::flush(uint32_t queue)
{
	Staged &s = *staged_[queue];
	if (s.nb == 0)
		return true;
	const uint16_t n = rte_eth_tx_burst(tx_, uint16_t(queue), s.packets, uint16_t(s.nb));
	result_.refused += n == 0;
	s.nb -= n;
	std::memmove(s.packets, s.packets + n, s.nb * sizeof(s.packets[0]));
	return s.nb == 0;
}

// False: it is not one of this run.
bool Tester::take(rte_mbuf *packet, uint64_t now)
{
	Stamp stamp;
	uint8_t copy[stamp_bytes];
	const void *at =
		packet->pkt_len < stamp_bytes
			? nullptr
			: rte_pktmbuf_read(packet, packet->pkt_len - stamp_bytes, stamp_bytes, copy);
	if (at == nullptr) {
		foreign_++;
		return false;
	}
	std::memcpy(&stamp, at, sizeof(stamp));
	const uint32_t flow = stamp.flow & flow_mask, phase = stamp.flow >> phase_shift;
	if (stamp.magic != magic_ || flow >= nb_flows_ || phase >= nb_phases) {
		foreign_++;
		return false;
	}
	TesterCounts &counts = arrivals_[phase];
	uint32_t &highest = highest_[flow];
	counts.out_of_order += stamp.sequence < highest;
	counts.duplicates += stamp.sequence == highest;
	highest = std::max(highest, stamp.sequence);
	counts.received++;
	counts.received_bits += uint64_t{packet->pkt_len} * 8;
	const uint64_t sent = uint64_t{stamp.sent_high} << 32 | stamp.sent_low;
	counts.latency.add(uint64_t(double(now - sent) / cycles_per_ns_));
	last_received_ = now;
	return true;
}

bool Tester::receive()
{
	rte_mbuf *packets[burst];
	uint32_t total = 0, ours = 0;
	const uint32_t nb_rx = config_.nb_rx_queues ? config_.nb_rx_queues : config_.nb_queues;
	for (uint16_t q = 0; q < nb_rx; q++) {
		const uint16_t n = rte_eth_rx_burst(rx_, q, packets, burst);
		if (n == 0)
			continue;
		const uint64_t now = rte_rdtsc();
		for (uint16_t i = 0; i < n; i++)
			ours += take(packets[i], now);
		rte_pktmbuf_free_bulk(packets, n);
		total += n;
	}
	if (ours > 0)
		received_.store(received_.load(std::memory_order_relaxed) + ours,
		                std::memory_order_release);
	return total > 0;
}

void Tester::run(bool sends, bool receives)
{
	while (!ending_.load(std::memory_order_relaxed)) {
		bool any = sends && send_due(rte_rdtsc());
		any |= receives && receive();
		if (!any)
			std::this_thread::yield(); // there may be fewer CPUs than threads
	}
}

TesterResult Tester::stop(bool now)
{
	if (pollers_.empty())
		return {};
	const bool endless = load_.window_ns == 0 && load_.packets == 0;
	stopping_.store(now || endless, std::memory_order_relaxed);
	using clock = std::chrono::steady_clock;
	const auto pause = std::chrono::milliseconds(2);
	// A bed whose other end has died takes nothing any more, and the window would never end.
	uint64_t before = 0;
	auto moved = clock::now();
	while (!done_sending_.load(std::memory_order_acquire)) {
		std::this_thread::sleep_for(pause);
		const uint64_t at =
			sent_.load(std::memory_order_relaxed) + received_.load(std::memory_order_relaxed);
		if (at != before) {
			before = at;
			moved = clock::now();
		} else if (clock::now() - moved > stalled_most) {
			stopping_.store(true, std::memory_order_relaxed);
		}
	}
	// As long as some still come: a device that is short of time has not lost what it has not sent yet.
	const auto ended = clock::now();
	auto heard = ended;
	for (uint64_t had = 0, got = 0;
	     (got = received_.load(std::memory_order_acquire)) <
	         sent_.load(std::memory_order_acquire) &&
	     clock::now() - heard < std::chrono::nanoseconds(load_.grace_ns) &&
	     clock::now() - ended < late_most;
	     had = got) {
		if (got != had)
			heard = clock::now();
		std::this_thread::sleep_for(pause);
	}
	ending_.store(true, std::memory_order_relaxed);
	for (Poller &poller : pollers_)
		poller.join();
	pollers_.clear();
	for (const auto &staged : staged_) { // of a port that took nothing any more
		TesterCounts &counts = result_.phases[phase_];
		counts.sent -= std::min<uint64_t>(counts.sent, staged->nb);
		rte_pktmbuf_free_bulk(staged->packets, staged->nb);
		staged->nb = 0;
	}
	for (size_t p = 0; p < nb_phases; p++) {
		const TesterCounts &got = arrivals_[p];
		TesterCounts &counts = result_.phases[p];
		counts.received = got.received;
		counts.received_bits = got.received_bits;
		counts.out_of_order = got.out_of_order;
		counts.duplicates = got.duplicates;
		counts.latency = got.latency;
	}
	result_.foreign = foreign_;
	result_.window_seconds = double(window_ended_ - window_began_) / (cycles_per_ns_ * 1e9);
	if (last_received_ > last_sent_)
		result_.stragglers_ns = uint64_t(double(last_received_ - last_sent_) / cycles_per_ns_);
	return result_;
}

} // namespace reframer::dpdk
