// The burst table behind the trackers' interface, through its C interface as anyone would use it.
#include "conntrack/contenders/burst_stats.hpp"
#include "conntrack/contenders/tracker.hpp"
#include "reframer/conntrack.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>

namespace reframer::conntrack {

namespace {

class BurstTable final : public Tracker {
public:
	explicit BurstTable(const TrackerOptions &options)
		: key_size_(options.key_size), depth_(options.depth), look_ahead_(options.look_ahead)
	{
		conntrack_params params;
		conntrack_default_params(&params);
		params.key_size = options.key_size;
		params.initial_flows = std::max<uint64_t>(options.flows, 64);
		if (options.load_percent) {
			params.load_percent = options.load_percent;
			params.flags = CONNTRACK_FIXED_SIZE | CONNTRACK_NO_EVICTION; // full, and no larger
		}
		if (options.power_of_two) {
			// As the others then: that many slots, whatever comes. 95 % is what it promises to take.
			params.load_percent = 95;
			params.initial_flows = params.initial_flows * 95 / 100;
			params.flags = CONNTRACK_FIXED_SIZE | CONNTRACK_NO_EVICTION;
		}
		params.max_flows = std::max(params.max_flows, params.initial_flows);
		params.seed = options.seed;
		// Refreshed and swept for, but too long for a flow of a measurement to expire.
		std::fill_n(params.timeout_ns, CONNTRACK_NB_CLASSES, 3'600'000'000'000u);
		if (int error = conntrack_create(&params, &table_)) {
			if (error == -ENOMEM)
				throw std::bad_alloc();
			throw std::invalid_argument("burst table: parameters out of range");
		}
	}
	~BurstTable() override { conntrack_free(table_); }

	uint32_t depth() const override { return depth_; }
	bool looks_ahead() const override { return true; }

	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t *values, uint8_t *found) override
	{
		uint32_t total = 0;
		each_call(keys, n, [&](uint32_t first, uint32_t count) {
			void *states[tracker_max_depth];
			// No time: the tables it is compared with know none.
			const uint32_t nb =
				look_ahead_ ? uint32_t(conntrack_collect_found(table_, CONNTRACK_NO_TIME, states))
							: conntrack_find_burst(table_, keys + size_t{first} * key_size_,
			                                       nullptr, count, CONNTRACK_NO_TIME, states);
			total += nb;
			if (nb == 0) {
				std::memset(found + first, 0, count);
				return;
			}
			for (uint32_t i = 0; i < count; i++) {
				found[first + i] = states[i] != nullptr;
				if (states[i])
					values[first + i] = *static_cast<const uint64_t *>(states[i]);
			}
		});
		return total;
	}

	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t stamp, uint8_t *results) override
	{
		uint32_t inserted = 0;
		each_call(keys, n, [&](uint32_t first, uint32_t count) {
			void *states[tracker_max_depth];
			if (look_ahead_)
				conntrack_collect(table_, clock_, states, results + first);
			else
				conntrack_find_or_insert_burst(table_, keys + size_t{first} * key_size_, nullptr,
				                               count, clock_, states, results + first);
			for (uint32_t i = 0; i < count; i++) {
				if (!states[i]) {
					results[first + i] = refused;
					continue;
				}
				inserted += results[first + i];
				*static_cast<uint64_t *>(states[i]) = stamp;
			}
			uint64_t elapsed = uint64_t{count} * packet_ns;
			clock_ += elapsed;
			conntrack_expire(table_, clock_,
			                 conntrack_sweep_budget(table_, elapsed, sweep_period_ns));
		});
		return inserted;
	}

	uint32_t remove(const uint8_t *keys, uint32_t n) override
	{
		return conntrack_remove_burst(table_, keys, nullptr, n, clock_);
	}

	uint64_t flows() const override { return stats_of(table_).flows; }
	size_t bytes() const override { return stats_of(table_).bytes; }

private:
	// One call of the table for `depth` keys.
	template <typename Step> void each_call(const uint8_t *keys, uint32_t n, Step step)
	{
		in_pieces(
			n, depth_, look_ahead_,
			[&](uint32_t first, uint32_t count) {
				if (look_ahead_)
					conntrack_submit(table_, keys + size_t{first} * key_size_, nullptr, count);
			},
			step);
	}

	// Time passes as at the 12 million packets a second of the paper's traces, and each bucket is
	// swept once a second.
	static constexpr uint64_t packet_ns = 80, sweep_period_ns = 1'000'000'000;
	conntrack_table *table_ = nullptr;
	uint32_t key_size_;
	uint32_t depth_;
	bool look_ahead_;
	uint64_t clock_ = 1'000'000'000;
};

} // namespace

std::unique_ptr<Tracker> make_burst_table(const TrackerOptions &options)
{
	return std::make_unique<BurstTable>(options);
}

} // namespace reframer::conntrack
