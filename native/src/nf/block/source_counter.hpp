// Packets and bytes of each source, over the flows of all cores. Only a flow's first packet looks the
// source up; its block keeps the place, and later packets add to a line of the source's own.
#pragma once

#include "base/region.hpp"
#include "nf/block/balancer.hpp"

#include <bit>
#include <memory>
#include <optional>

namespace reframer::nf::block {

// Sources that have been seen, by address. Any number of threads may call all of it. A source stays;
// where `capacity` are there, the first place counts all further ones together.
class Sources {
public:
	explicit Sources(uint32_t capacity)
		: capacity_(capacity), slots_(std::bit_ceil(size_t{capacity} * 2)), counts_(capacity + 1)
	{
	}

	// Place of an address, which is entered if it is new; 0 where there is no room.
	uint32_t place_of(uint32_t address)
	{
		const size_t mask = slots_.size() - 1;
		for (size_t i = (address * 0x9e3779b97f4a7c15ull >> 32) & mask;; i = (i + 1) & mask) {
			std::atomic<uint64_t> &slot = slots_[i];
			uint64_t there = slot.load(std::memory_order_acquire);
			if (there == 0) {
				const uint32_t place = reserve();
				if (place == 0)
					return 0;
				// Who enters the same address at the same time finds the slot taken; a place that was
				// reserved in vain is lost, one for each such meeting.
				const uint64_t fresh = uint64_t{address} << 32 | place;
				if (slot.compare_exchange_strong(there, fresh, std::memory_order_acq_rel))
					return place;
			}
			if (there >> 32 == address)
				return static_cast<uint32_t>(there);
		}
	}
	SharedCounts &at(uint32_t place) const { return counts_[place]; }
	// NULL where the address was never entered.
	const SharedCounts *find(uint32_t address) const
	{
		const size_t mask = slots_.size() - 1;
		for (size_t i = (address * 0x9e3779b97f4a7c15ull >> 32) & mask;; i = (i + 1) & mask) {
			const uint64_t there = slots_[i].load(std::memory_order_acquire);
			if (there == 0)
				return nullptr;
			if (there >> 32 == address)
				return &counts_[static_cast<uint32_t>(there)];
		}
	}

private:
	uint32_t reserve()
	{
		uint32_t n = nb_.load(std::memory_order_relaxed);
		while (n < capacity_)
			if (nb_.compare_exchange_weak(n, n + 1, std::memory_order_relaxed))
				return n + 1;
		return 0;
	}

	uint32_t capacity_;
	base::Region<std::atomic<uint64_t>> slots_; // address << 32 | place; 0: empty
	base::Region<SharedCounts> counts_;
	std::atomic<uint32_t> nb_{0};
};

class SourceCounter {
public:
	struct State {
		uint32_t place_plus_one;
	};
	// `caches`: the block keeps the place; otherwise each run looks it up, to measure what that is
	// worth.
	explicit SourceCounter(std::shared_ptr<Sources> sources, bool caches = true)
		: sources_(std::move(sources)), caches_(caches)
	{
	}
	void prefetch(const State &s)
	{
		if (s.place_plus_one)
			__builtin_prefetch(&sources_->at(s.place_plus_one - 1), 1);
	}
	void process(Run &run, Packets &, State &s, uint64_t)
	{
		if (s.place_plus_one == 0 || !caches_) [[unlikely]] {
			const uint32_t source = run.is_reply() ? run.key.destination : run.key.source;
			const uint32_t place = sources_->place_of(source);
			if (s.place_plus_one == 0)
				sources_->at(place).flows.fetch_add(1, std::memory_order_relaxed);
			s.place_plus_one = place + 1;
		}
		sources_->at(s.place_plus_one - 1).add(run.alive, run.bytes, true);
	}
	void ended(const Ipv4Tuple &, const State &s)
	{
		if (s.place_plus_one)
			sources_->at(s.place_plus_one - 1).flows.fetch_sub(1, std::memory_order_relaxed);
	}
	static uint64_t digest(const State &s) { return s.place_plus_one; }

private:
	std::shared_ptr<Sources> sources_;
	bool caches_;
};

} // namespace reframer::nf::block
