#include "datapath/ports/dma.hpp"

#include "base/cores.hpp"
#include "packet/hash.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>
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

uint64_t checksum(const uint8_t *frame, uint32_t length, uint64_t number)
{
	uint64_t words[16] = {};
	std::memcpy(words, frame, std::min<size_t>(length, sizeof(words)));
	uint64_t h = packet::fold_multiply(number ^ packet::hash_c0, length ^ packet::hash_c1);
	for (uint64_t w : words)
		h = packet::fold_multiply(h ^ w, packet::hash_c2);
	return h;
}

} // namespace

Dma::Dma(Into into, int core) : into_(into)
{
	if (core < 0)
		return;
	thread_ = std::thread([this] { serve(); });
	if (!base::pin(thread_.native_handle(), core)) {
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

void Dma::wait_for(const Task &task)
{
	task_ = task;
	asked_.store(++asked_local_, std::memory_order_release);
	while (done_.load(std::memory_order_acquire) != asked_local_)
		continue;
	if (thrown_)
		std::rethrow_exception(std::exchange(thrown_, nullptr));
}

void Dma::serve()
{
	uint64_t done = 0;
	while (!stop_.load(std::memory_order_relaxed)) {
		if (asked_.load(std::memory_order_acquire) == done)
			continue;
		try {
			task_.call(task_.work);
		} catch (...) {
			thrown_ = std::current_exception();
		}
		done_.store(++done, std::memory_order_release);
	}
}

void Dma::receive(RingPort &port, uint64_t position, const Arrival &arrival)
{
	const uint8_t *written = port.fill(position, arrival, static_cast<uint32_t>(position));
	if (into_ == Into::dram) {
		const uint32_t bytes = buffer_bytes(arrival);
		flush(written, bytes);
		flush(port.descriptor(position), sizeof(Descriptor));
		if (!thread_.joinable()) // its source would otherwise fill the private caches
			flush(arrival.data, bytes);
	}
}

void Dma::transmit(const uint8_t *frame, uint32_t length, uint64_t number)
{
	answer_ += checksum(frame, length, number);
}

} // namespace reframer::engine
