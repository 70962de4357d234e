#include "datapath/ports/ring_port.hpp"

#include <cstring>
#include <stdexcept>

namespace reframer::engine {

namespace {

// Transmit descriptors, as many as the original's device under test had.
constexpr uint32_t tx_ring_size = 1024;

} // namespace

RingPort::RingPort(const QueueConfig &config, uint32_t most_out)
	: depth_(config.ring_depth), ring_(config.ring_depth), posted_(config.ring_depth),
	  tx_ring_(tx_ring_size)
{
	// All that may be held or come out of one poll, twice: once in use, once sent and not yet free.
	nb_buffers_ = depth_ + 2 * size_t{most_out};
	pool_ = base::Region<uint8_t>(nb_buffers_ * nf::Mbuf::stride);
	free_.reserve(nb_buffers_);
	for (size_t i = nb_buffers_; i-- > 0;) {
		buffer(i)->index = static_cast<uint32_t>(i);
		free_.push_back(buffer(i));
	}
	for (uint32_t i = 0; i < depth_; i++) {
		posted_[i] = free_.back();
		free_.pop_back();
	}
	received_.resize(config.burst);
	wire_.resize(config.burst);
	hash_.resize(config.burst);
	dropped_.resize(most_out);
	sent_.reserve(most_out);
}

const uint8_t *RingPort::fill(uint64_t position, const Arrival &a, uint32_t mark)
{
	const size_t slot = position % depth_;
	nf::Mbuf *buffer = posted_[slot];
	Descriptor &d = ring_[slot];
	std::memcpy(buffer->data(), a.data, buffer_bytes(a));
	d.buffer = buffer;
	d.captured = buffer_bytes(a);
	d.wire = a.wire;
	d.rss = a.rss;
	d.mark = mark;
	std::atomic_ref(d.ready).store(static_cast<uint32_t>(position / depth_) + 1,
	                               std::memory_order_release);
	return buffer->data();
}

RingPort::Received RingPort::rx(uint32_t most)
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
		if (++head_ == depth_) {
			head_ = 0;
			lap_++;
		}
	}
	if (n)
		taken_.store(taken_.load(std::memory_order_relaxed) + n, std::memory_order_release);
	return {received_.data(), wire_.data(), hash_.data(), n};
}

// What was sent before is free now, then descriptors for what leaves.
void RingPort::tx(nf::Mbuf **packets, uint32_t n, uint32_t nb_dropped)
{
	free(sent_.data(), static_cast<uint32_t>(sent_.size()));
	for (uint32_t i = 0; i < n; i++)
		tx_ring_[tx_head_++ % tx_ring_size] = {packets[i]->data(), packets[i]->captured};
	sent_.assign(packets, packets + n);
	free(dropped_.data(), nb_dropped);
}

BufferStage::BufferStage(const QueueConfig &config, reframer_stage *stage, RingPort &port)
	: config_(config), stage_(stage), port_(port), out_(most_out(config, stage)),
	  data_(config.burst), captured_(config.burst), runs_(out_.size())
{
}

reframer_burst BufferStage::burst_of(const RingPort::Received &received) const
{
	const bool headers = config_.reads_headers || !config_.nic_hash;
	return {reinterpret_cast<void *const *>(received.packets),
	        headers ? data_.data() : nullptr,
	        headers ? captured_.data() : nullptr,
	        received.wire,
	        config_.nic_hash ? received.hash : nullptr,
	        received.count};
}

void BufferStage::push(const RingPort::Received &received, uint64_t now_ns)
{
	const reframer_burst burst = burst_of(received);
	const uint32_t n = received.count;
	for (uint32_t i = 0; i < n && config_.look_ahead; i++)
		// Into the second level: the chain comes for it when the hold ends.
		__builtin_prefetch(received.packets[i]->data(), 0, 2);
	for (uint32_t i = 0; i < n && burst.data; i++) {
		data_[i] = received.packets[i]->data();
		captured_[i] = received.packets[i]->captured;
	}
	if (reframer_push(stage_, &burst, now_ns) != n)
		throw std::logic_error("the stage took fewer packets than it promises");
}

Batch<nf::Mbuf> BufferStage::release(uint64_t now_ns, bool draining)
{
	uint32_t out = 0, nb_runs = 0, got = 0;
	auto most = static_cast<uint32_t>(out_.size());
	if (config_.release_max)
		most = std::min(most, config_.release_max);
	do {
		const uint32_t room = std::min<uint32_t>(release_room, most - out);
		uint32_t runs = room;
		auto to = reinterpret_cast<void **>(out_.data() + out);
		reframer_run *const list = runs_.data() + nb_runs; // never more runs than packets
		got = draining ? reframer_drain(stage_, now_ns, to, room, list, &runs)
		               : reframer_poll(stage_, now_ns, to, room, list, &runs);
		for (uint32_t r = 0; out && r < runs; r++)
			list[r].first += out;
		nb_runs += runs;
		out += got;
		if (got < room)
			break;
	} while (out < most);
	return {out_.data(), out, {runs_.data(), nb_runs}};
}

void BufferStage::free_thinned()
{
	nf::Mbuf *thinned[32];
	uint32_t taken;
	do {
		taken = reframer_take_thinned(stage_, reinterpret_cast<void **>(thinned), 32);
		port_.free(thinned, taken);
		thinned_ += taken;
		held_ -= taken;
	} while (taken == 32);
}

Batch<nf::Mbuf> BufferStage::pass(const RingPort::Received &received, uint64_t now_ns,
                                  bool draining)
{
	if (!stage_)
		return {received.packets, received.count, {}};
	if (load_)
		reframer_report_load(stage_, load_);
	if (!draining && reframer_passes(stage_)) {
		const reframer_burst burst = burst_of(received);
		reframer_pass(stage_, &burst, now_ns);
		return {received.packets, received.count, {}};
	}
	if (received.count)
		push(received, now_ns);
	const Batch<nf::Mbuf> batch = release(now_ns, draining);
	held_ += received.count;
	held_ -= batch.count;
	if (config_.thins)
		free_thinned();
	return batch;
}

} // namespace reframer::engine
