// The burst table with its own expiry: deadlines in its buckets, looked at by inserts (lazy) or by
// a sweep that comes past once a second (scan).
#include "conntrack/contenders/burst_stats.hpp"
#include "conntrack/contenders/cuckoopp.hpp"
#include "conntrack/expiry/timed_tracker.hpp"
#include "reframer/conntrack.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <stdexcept>

namespace reframer::conntrack {

namespace {

class TimedBurstTable final : public TimedTracker {
public:
	explicit TimedBurstTable(const TimedOptions &options)
		: key_size_(options.tracker.key_size), scan_(options.expiry == Expiry::scan),
		  // A dead flow stays for half of that on average: an eighth of its life, less than a tenth
		  // of what is resident, since flows live on after their first packet.
		  sweep_period_(std::max<uint64_t>(options.timeout_ticks / 4, 1)),
		  tick_ns_(1'000'000'000 / options.ticks_per_second)
	{
		conntrack_params params;
		conntrack_default_params(&params);
		params.key_size = key_size_;
		params.initial_flows = std::max<uint64_t>(options.tracker.flows, 64);
		params.max_flows = std::max(params.max_flows, params.initial_flows);
		params.seed = options.tracker.seed;
		params.tick_ns = tick_ns_;
		// The table adds a tick, so that no flow lives shorter than asked.
		std::fill_n(params.timeout_ns, CONNTRACK_NB_CLASSES,
		            (options.timeout_ticks - 1) * tick_ns_);
		if (int error = conntrack_create(&params, &table_)) {
			if (error == -ENOMEM)
				throw std::bad_alloc();
			throw std::invalid_argument("burst table: parameters out of range");
		}
	}
	~TimedBurstTable() override { conntrack_free(table_); }

	uint32_t depth() const override { return tracker_burst; }
	bool reads_only() const override { return false; }

	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t *values,
	              uint8_t *found) override
	{
		uint32_t total = 0;
		for (uint32_t first = 0; first < n; first += tracker_burst) {
			void *states[tracker_burst];
			uint32_t count = std::min(tracker_burst, n - first);
			total += conntrack_find_burst(table_, keys + size_t{first} * key_size_, nullptr, count,
			                              tick * tick_ns_, states);
			for (uint32_t i = 0; i < count; i++) {
				found[first + i] = states[i] != nullptr;
				if (states[i])
					values[first + i] = *static_cast<const uint64_t *>(states[i]);
			}
		}
		return total;
	}

	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t stamp,
	               uint8_t *results) override
	{
		uint32_t inserted = 0;
		for (uint32_t first = 0; first < n; first += tracker_burst) {
			void *states[tracker_burst];
			uint32_t count = std::min(tracker_burst, n - first);
			conntrack_find_or_insert_burst(table_, keys + size_t{first} * key_size_, nullptr, count,
			                               tick * tick_ns_, states, results + first);
			for (uint32_t i = 0; i < count; i++) {
				if (!states[i]) {
					results[first + i] = Tracker::refused;
					continue;
				}
				results[first + i] &= CONNTRACK_NEW;
				inserted += results[first + i];
				*static_cast<uint64_t *>(states[i]) = stamp;
			}
		}
		return inserted;
	}

	uint32_t remove(const uint8_t *keys, uint32_t n, uint64_t tick) override
	{
		return conntrack_remove_burst(table_, keys, nullptr, n, tick * tick_ns_);
	}
	uint32_t expire(uint64_t tick) override
	{
		// Growth changes it slowly.
		if (scan_ && tick % 64 == 0)
			budget_ = 0;
		if (scan_ && !budget_)
			budget_ = conntrack_sweep_budget(table_, 1, sweep_period_);
		pending_ += budget_;
		if (pending_ < at_once)
			return 0;
		uint32_t nb = pending_;
		pending_ = 0;
		return conntrack_expire(table_, tick * tick_ns_, nb);
	}
	uint64_t residents() const override { return stats_of(table_).flows; }
	size_t bytes() const override { return stats_of(table_).bytes; }

private:
	conntrack_table *table_ = nullptr;
	uint32_t key_size_;
	bool scan_;
	// Buckets swept in one go: fewer are hardly worth a call.
	static constexpr uint32_t at_once = 32;
	uint32_t pending_ = 0;
	uint32_t budget_ = 0;   // buckets a tick; 0: not asked for
	uint64_t sweep_period_; // ticks in which each bucket is looked at
	uint64_t tick_ns_;
};

} // namespace

const char *expiry_name(Expiry expiry)
{
	constexpr const char *names[] = {"none", "wheel", "lazy", "scan"};
	return names[static_cast<unsigned>(expiry)];
}

std::unique_ptr<TimedTracker> make_timed_burst_table(const TimedOptions &options)
{
	return std::make_unique<TimedBurstTable>(options);
}

std::unique_ptr<TimedTracker> make_timed_tracker(const std::string &name,
                                                 const TimedOptions &options)
{
	bool inside = options.expiry == Expiry::lazy || options.expiry == Expiry::scan;
	if (name == "burst-table" && inside)
		return make_timed_burst_table(options);
	if ((name == "cuckoopp" || name == "cuckoopp-burst") && inside &&
	    options.timeout_ticks <= cuckoo_timeout_limit) {
		TimedOptions own = options;
		own.tracker.depth = name == "cuckoopp" ? 1 : options.tracker.depth;
		return make_timed_cuckoopp(own);
	}
	std::unique_ptr<Tracker> table = make_tracker(name, options.tracker);
	if (!table)
		return nullptr;
	return options.expiry == Expiry::none ? make_untimed(std::move(table))
	                                      : make_flow_blocks(std::move(table), options);
}

} // namespace reframer::conntrack
