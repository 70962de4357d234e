// The shared burst table behind the trackers' interface, through its C interface.
#include "conntrack/shared/shared_tracker.hpp"
#include "reframer/conntrack_shared.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <stdexcept>

namespace reframer::conntrack {

namespace {

class SharedBurstTable final : public SharedTracker {
public:
	explicit SharedBurstTable(const SharedOptions &options)
		: key_size_(options.timed.tracker.key_size), expiry_(options.timed.expiry),
		  tick_ns_(1'000'000'000 / options.timed.ticks_per_second),
		  ticks_per_second_(options.timed.ticks_per_second)
	{
		conntrack_params params;
		conntrack_default_params(&params);
		params.key_size = key_size_;
		params.initial_flows = std::max<uint64_t>(options.timed.tracker.flows, 64);
		params.max_flows = std::max(params.max_flows, params.initial_flows);
		params.seed = options.timed.tracker.seed;
		params.tick_ns = tick_ns_;
		// The table adds a tick, so that no flow lives shorter than asked.
		std::fill_n(params.timeout_ns, CONNTRACK_NB_CLASSES,
		            (options.timed.timeout_ticks - 1) * tick_ns_);
		if (int error = conntrack_shared_create(&params, &table_)) {
			if (error == -ENOMEM)
				throw std::bad_alloc();
			throw std::invalid_argument("shared burst table: parameters out of range");
		}
		for (unsigned i = 0; i < options.nb_threads; i++)
			threads_.push_back(conntrack_shared_thread_create(table_));
	}
	~SharedBurstTable() override { conntrack_shared_free(table_); }

	uint32_t depth() const override { return tracker_burst; }
	bool needs_owner() const override { return false; }

	uint32_t find(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t *values,
	              uint8_t *found) override
	{
		return conntrack_shared_find_burst(threads_[thread], keys, nullptr, n, time(tick), values,
		                                   found);
	}

	uint32_t track(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t stamp,
	               uint8_t *results) override
	{
		uint32_t inserted = 0;
		uint64_t stamps[4 * tracker_burst];
		std::fill_n(stamps, std::min<size_t>(n, std::size(stamps)), stamp);
		for (uint32_t first = 0; first < n; first += uint32_t(std::size(stamps))) {
			uint32_t count = std::min<uint32_t>(uint32_t(std::size(stamps)), n - first);
			conntrack_shared_store_burst(threads_[thread], keys + size_t{first} * key_size_,
			                             nullptr, count, time(tick), stamps, results + first);
			for (uint32_t i = first; i < first + count; i++)
				inserted += results[i] == CONNTRACK_NEW;
		}
		return inserted;
	}

	uint32_t remove(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t tick) override
	{
		return conntrack_shared_remove_burst(threads_[thread], keys, nullptr, n, time(tick),
		                                     nullptr);
	}

	uint32_t expire(unsigned thread, uint64_t tick) override
	{
		if (expiry_ == Expiry::none)
			return 0;
		uint32_t budget = 0;
		if (expiry_ == Expiry::scan)
			budget = conntrack_shared_sweep_budget(threads_[thread], 1,
			                                       ticks_per_second_ * threads_.size());
		return conntrack_shared_expire(threads_[thread], time(tick), budget);
	}
	uint64_t residents() const override { return stats().flows; }
	size_t bytes() const override { return stats().bytes; }

private:
	// Without expiry, time stands still.
	uint64_t time(uint64_t tick) const
	{
		return expiry_ == Expiry::none ? tick_ns_ : tick * tick_ns_;
	}
	conntrack_stats stats() const
	{
		conntrack_stats s;
		conntrack_shared_get_stats(table_, &s);
		return s;
	}

	conntrack_shared *table_ = nullptr;
	std::vector<conntrack_thread *> threads_;
	uint32_t key_size_;
	Expiry expiry_;
	uint64_t tick_ns_, ticks_per_second_;
};

} // namespace

std::unique_ptr<SharedTracker> make_shared_burst_table(const SharedOptions &options)
{
	return std::make_unique<SharedBurstTable>(options);
}

} // namespace reframer::conntrack
