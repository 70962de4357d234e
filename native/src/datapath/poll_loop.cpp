#include "datapath/poll_loop.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>

namespace reframer::engine {

namespace {

// Transmit descriptors, as many as the original's device under test had.
constexpr uint32_t tx_ring_size = 1024;
// Packets that one reframer_poll() may give out.
constexpr uint32_t release_room = 256;

} // namespace

PollLoop::PollLoop(const QueueConfig &config, reframer_stage *stage, nf::Chain &chain)
	: config_(config), stage_(stage), chain_(chain), ring_(config.ring_depth),
	  posted_(config.ring_depth), tx_ring_(tx_ring_size)
{
	uint32_t held = stage ? config.max_held : 0;
	// All that may be held or come out of one poll, twice: once in use, once sent and not yet free.
	uint32_t room = held + config.burst + release_room;
	nb_buffers_ = config.ring_depth + 2 * size_t{room};
	pool_ = base::Region<uint8_t>(nb_buffers_ * nf::Mbuf::stride);
	free_.reserve(nb_buffers_);
	for (size_t i = nb_buffers_; i-- > 0;) {
		buffer(i)->index = static_cast<uint32_t>(i);
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
	runs_.resize(release_room);
	sent_.reserve(room);
}

const uint8_t *PollLoop::fill(uint64_t position, const Arrival &a, uint32_t mark)
{
	const size_t slot = position % config_.ring_depth;
	nf::Mbuf *buffer = posted_[slot];
	Descriptor &d = ring_[slot];
	std::memcpy(buffer->data(), a.data, buffer_bytes(a));
	d.buffer = buffer;
	d.captured = buffer_bytes(a);
	d.wire = a.wire;
	d.rss = a.rss;
	d.mark = mark;
	std::atomic_ref(d.ready).store(static_cast<uint32_t>(position / config_.ring_depth) + 1,
	                               std::memory_order_release);
	return buffer->data();
}

// The driver's part of a poll: descriptors to buffers, fresh buffers into the ring.
uint32_t PollLoop::receive(uint32_t most)
{
	uint32_t n = 0;
	for (; n < most; n++) {
		Descriptor &d = ring_[head_];
		if (std::atomic_ref(d.ready).load(std::memory_order_acquire) != lap_)
			break;
		nf::Mbuf *m = d.buffer;
		m->captured = d.captured;
		m->wire = wire_[n] = d.wire;
		m->rss = hash_[n] = d.rss;
		m->mark = d.mark;
		received_[n] = m;
		posted_[head_] = free_.back();
		free_.pop_back();
		if (++head_ == config_.ring_depth) {
			head_ = 0;
			lap_++;
		}
	}
	if (n)
		taken_.store(taken_.load(std::memory_order_relaxed) + n, std::memory_order_release);
	return n;
}

reframer_burst PollLoop::received_burst(uint32_t n) const
{
	const bool headers = config_.reads_headers || !config_.nic_hash;
	return {reinterpret_cast<void *const *>(received_.data()),
	        headers ? data_.data() : nullptr,
	        headers ? captured_.data() : nullptr,
	        wire_.data(),
	        config_.nic_hash ? hash_.data() : nullptr,
	        n};
}

// Through the stage: `n` received packets in, what is due out to out_.
uint32_t PollLoop::through_stage(uint32_t n, uint64_t now, bool draining)
{
	if (n) {
		const reframer_burst burst = received_burst(n);
		for (uint32_t i = 0; i < n && config_.look_ahead; i++)
			// Into the second level: the chain comes for it when the hold ends.
			__builtin_prefetch(received_[i]->data(), 0, 2);
		for (uint32_t i = 0; i < n && burst.data; i++) {
			data_[i] = received_[i]->data();
			captured_[i] = received_[i]->captured;
		}
		if (reframer_push(stage_, &burst, now) != n)
			throw std::logic_error("the stage took fewer packets than it promises");
	}
	uint32_t out = 0, got = 0;
	auto most = static_cast<uint32_t>(out_.size());
	if (config_.release_max)
		most = std::min(most, config_.release_max);
	do {
		uint32_t room = std::min<uint32_t>(release_room, most - out);
		uint32_t runs = room;
		auto to = reinterpret_cast<void **>(out_.data() + out);
		got = draining ? reframer_drain(stage_, now, to, room, runs_.data(), &runs)
		               : reframer_poll(stage_, now, to, room, runs_.data(), &runs);
		out += got;
		if (got < room)
			break;
	} while (out < most);
	while (config_.thins) {
		nf::Mbuf *thinned[32];
		uint32_t taken = reframer_take_thinned(stage_, reinterpret_cast<void **>(thinned), 32);
		free_.insert(free_.end(), thinned, thinned + taken); // room for every buffer is reserved
		thinned_ += taken;
		in_stage_ -= taken;
		if (taken < 32)
			break;
	}
	return out;
}

void PollLoop::take(uint64_t now_ns, bool draining, const reframer_load *load)
{
	uint32_t most = draining ? 0 : config_.burst;
	if (config_.release_max && stage_) // takes out less than is due when its core is short of time
		most = std::min(most, reframer_room(stage_, now_ns));
	nb_received_ = receive(most);
	if (stage_ && load)
		reframer_report_load(stage_, load);
	if (stage_ && (draining || !reframer_passes(stage_))) {
		nb_out_ = through_stage(nb_received_, now_ns, draining);
		leaving_ = out_.data();
	} else {
		if (stage_) {
			const reframer_burst burst = received_burst(nb_received_);
			reframer_pass(stage_, &burst, now_ns);
		}
		nb_out_ = nb_received_;
		leaving_ = received_.data();
	}
	in_stage_ += nb_received_;
	in_stage_ -= nb_out_;
}

void PollLoop::process()
{
	uint32_t kept = nb_out_ ? chain_.process(leaving_, nb_out_, dropped_.data()) : 0;
	// Transmit: what was sent before is free now, then descriptors for what leaves.
	free_.insert(free_.end(), sent_.begin(), sent_.end()); // room for every buffer is reserved
	for (uint32_t i = 0; i < kept; i++)
		tx_ring_[tx_head_++ % tx_ring_size] = {leaving_[i]->data(), leaving_[i]->captured};
	sent_.assign(leaving_, leaving_ + kept);
	free_.insert(free_.end(), dropped_.begin(), dropped_.begin() + (nb_out_ - kept));
}

} // namespace reframer::engine
