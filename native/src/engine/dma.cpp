#include "engine/dma.hpp"

#include "engine/cores.hpp"
#include "packet/hash.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <x86intrin.h>

namespace reframer::engine {

namespace {

// clflushopt where the build's target has it, clflush (slower, the same effect) elsewhere.
void flush(const void *start, size_t bytes)
{
	auto p = reinterpret_cast<uintptr_t>(start) & ~uintptr_t{63};
	for (auto end = reinterpret_cast<uintptr_t>(start) + bytes; p < end; p += 64)
#ifdef __CLFLUSHOPT__
		_mm_clflushopt(reinterpret_cast<void *>(p));
#else
		_mm_clflush(reinterpret_cast<void *>(p));
#endif
	_mm_sfence();
}

uint64_t checksum(const nf::Mbuf *buffer, uint64_t number)
{
	uint64_t words[16] = {};
	std::memcpy(words, buffer->data(), std::min<size_t>(buffer->captured, sizeof(words)));
	uint64_t h = packet::fold_multiply(number ^ packet::hash_c0, buffer->captured ^ packet::hash_c1);
	for (uint64_t w : words)
		h = packet::fold_multiply(h ^ w, packet::hash_c2);
	return h;
}

} // namespace

Dma::Dma(Into into, int core) : into_(into)
{
	if (core < 0)
		return;
	thread_ = std::thread([this] { work(); });
	if (!pin(thread_.native_handle(), core)) {
		stop_ = true;
		thread_.join();
		throw std::runtime_error("cannot run on core " + std::to_string(core));
	}
}

Dma::~Dma()
{
	stop_ = true;
	if (thread_.joinable())
		thread_.join();
}

void write_received(Descriptor *slot, const Completion &c, const uint8_t *frame)
{
	std::memcpy(c.buffer->data(), frame, c.captured);
	slot->buffer = c.buffer;
	slot->captured = c.captured;
	slot->wire = c.wire;
	slot->rss = c.rss;
	slot->mark = c.mark;
	std::atomic_ref(slot->ready).store(c.ready, std::memory_order_release);
}

void Dma::receive(Descriptor *slot, const Completion &completion, const uint8_t *frame)
{
	put({slot, completion, frame, 0});
}

void Dma::transmit(const nf::Mbuf *buffer, uint64_t number)
{
	put({nullptr, {const_cast<nf::Mbuf *>(buffer), 0, 0, 0, 0, 0}, nullptr, number});
}

void Dma::put(const Command &command)
{
	if (!thread_.joinable()) {
		execute(command);
		return;
	}
	while (asked_local_ - done_.load(std::memory_order_acquire) >= ring_size)
		_mm_pause();
	ring_[asked_local_ % ring_size] = command;
	asked_.store(++asked_local_, std::memory_order_release);
}

void Dma::settle()
{
	while (thread_.joinable() && done_.load(std::memory_order_acquire) != asked_local_)
		_mm_pause();
}

void Dma::work()
{
	uint64_t done = 0;
	while (!stop_.load(std::memory_order_relaxed)) {
		uint64_t asked = asked_.load(std::memory_order_acquire);
		while (done != asked) {
			execute(ring_[done % ring_size]);
			done_.store(++done, std::memory_order_release);
		}
		_mm_pause();
	}
}

void Dma::execute(const Command &c)
{
	if (!c.slot) {
		answer_ += checksum(c.what.buffer, c.number);
		return;
	}
	write_received(c.slot, c.what, c.frame);
	if (into_ == Into::dram) {
		flush(c.what.buffer->data(), c.what.captured);
		flush(c.slot, sizeof(*c.slot));
		if (!thread_.joinable()) // its source would otherwise fill the private caches
			flush(c.frame, c.what.captured);
	}
}

} // namespace reframer::engine
