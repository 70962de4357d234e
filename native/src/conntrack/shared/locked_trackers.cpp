// Sharing from outside: a table for each thread, one lock around one table, or a lock a region.
#include "conntrack/shared/locks.hpp"
#include "conntrack/shared/per_thread.hpp"
#include "conntrack/shared/shared_tracker.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <mutex>
#include <shared_mutex>

namespace reframer::conntrack {

namespace {

using Table = std::unique_ptr<TimedTracker>;

TimedOptions sized(const SharedOptions &options, uint64_t parts)
{
	TimedOptions out = options.timed;
	if (parts > 1) {
		// Keys fall into parts by chance: six standard deviations more than the mean.
		double mean = double(out.tracker.flows) / double(parts);
		out.tracker.flows = static_cast<uint64_t>(mean + 6 * std::sqrt(mean)) + 16;
	}
	return out;
}

// The lock is held for as many keys as the table works on at once: one key in scalar use, as in
// the paper, else a burst.
template <typename Lock> class Locked final : public SharedTracker {
public:
	Locked(Table table, uint32_t key_size)
		: table_(std::move(table)), unit_(table_->depth() > 1 ? tracker_burst : 1),
		  key_size_(key_size), reads_only_(table_->reads_only())
	{
	}
	uint32_t depth() const override { return table_->depth(); }
	bool needs_owner() const override { return false; }
	uint32_t find(unsigned, const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t *values,
	              uint8_t *found) override
	{
		return each(keys, n, [&](const uint8_t *at, uint32_t first, uint32_t count) {
			if (reads_only_) {
				std::shared_lock guard(lock_);
				return table_->find(at, count, tick, values + first, found + first);
			}
			std::lock_guard guard(lock_);
			return table_->find(at, count, tick, values + first, found + first);
		});
	}
	uint32_t track(unsigned, const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t stamp,
	               uint8_t *results) override
	{
		return each(keys, n, [&](const uint8_t *at, uint32_t first, uint32_t count) {
			std::lock_guard guard(lock_);
			return table_->track(at, count, tick, stamp, results + first);
		});
	}
	uint32_t remove(unsigned, const uint8_t *keys, uint32_t n, uint64_t tick) override
	{
		return each(keys, n, [&](const uint8_t *at, uint32_t, uint32_t count) {
			std::lock_guard guard(lock_);
			return table_->remove(at, count, tick);
		});
	}
	uint32_t expire(unsigned, uint64_t tick) override
	{
		std::lock_guard guard(lock_);
		return table_->expire(tick);
	}
	uint64_t residents() const override { return table_->residents(); }
	size_t bytes() const override { return table_->bytes(); }

private:
	template <typename Step> uint32_t each(const uint8_t *keys, uint32_t n, Step step)
	{
		uint32_t total = 0;
		for (uint32_t first = 0; first < n; first += unit_)
			total += step(keys + size_t{first} * key_size_, first, std::min(unit_, n - first));
		return total;
	}

	Lock lock_;
	Table table_;
	uint32_t unit_, key_size_;
	bool reads_only_;
};

// std::mutex with the shared calls of the others.
struct SleepingLock : std::mutex {
	void lock_shared() { lock(); }
	void unlock_shared() { unlock(); }
};

class Striped final : public SharedTracker {
public:
	static constexpr unsigned region_bits = 6, nb_regions = 1u << region_bits;

	Striped(std::vector<Table> tables, uint32_t key_size)
		: regions_(nb_regions), key_size_(key_size),
		  unit_(tables[0]->depth() > 1 ? tracker_burst : 1)
	{
		for (unsigned i = 0; i < nb_regions; i++)
			regions_[i].table = std::move(tables[i]);
	}
	uint32_t depth() const override { return regions_[0].table->depth(); }
	bool needs_owner() const override { return false; }
	uint32_t find(unsigned, const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t *values,
	              uint8_t *found) override
	{
		return each(keys, n, [&](Region &region, const Part &part) {
			uint64_t out[tracker_burst];
			uint8_t there[tracker_burst];
			uint32_t total = region.table->find(part.keys, part.count, tick, out, there);
			for (uint32_t i = 0; i < part.count; i++) {
				found[part.index[i]] = there[i];
				if (there[i])
					values[part.index[i]] = out[i];
			}
			return total;
		});
	}
	uint32_t track(unsigned, const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t stamp,
	               uint8_t *results) override
	{
		return each(keys, n, [&](Region &region, const Part &part) {
			uint8_t out[tracker_burst];
			uint32_t total = region.table->track(part.keys, part.count, tick, stamp, out);
			for (uint32_t i = 0; i < part.count; i++)
				results[part.index[i]] = out[i];
			return total;
		});
	}
	uint32_t remove(unsigned, const uint8_t *keys, uint32_t n, uint64_t tick) override
	{
		return each(keys, n, [&](Region &region, const Part &part) {
			return region.table->remove(part.keys, part.count, tick);
		});
	}
	uint32_t expire(unsigned, uint64_t tick) override
	{
		uint32_t total = 0;
		for (Region &region : regions_) {
			std::lock_guard guard(region.lock);
			total += region.table->expire(tick);
		}
		return total;
	}
	uint64_t residents() const override
	{
		uint64_t sum = 0;
		for (const Region &r : regions_)
			sum += r.table->residents();
		return sum;
	}
	size_t bytes() const override
	{
		size_t sum = 0;
		for (const Region &r : regions_)
			sum += r.table->bytes();
		return sum;
	}

private:
	struct Region {
		shared::SpinLock lock;
		Table table;
	};
	// Keys of a burst that fall into one region, in their order.
	struct Part {
		const uint8_t *keys;
		uint32_t count;
		const uint32_t *index;
	};

	unsigned region_of(const uint8_t *key) const
	{
		uint64_t mixed = 0;
		for (uint32_t at = 0; at < key_size_; at += 8) {
			uint64_t w;
			std::memcpy(&w, key + at, 8);
			// Not a CRC: the regions' tables take theirs apart bit by bit.
			mixed = (mixed ^ w) * 0x9e3779b97f4a7c15u;
			mixed ^= mixed >> 32;
		}
		return static_cast<unsigned>(mixed * 0xd6e8feb86659fd93u >> (64 - region_bits));
	}

	template <typename Step> uint32_t each(const uint8_t *keys, uint32_t n, Step step)
	{
		uint32_t total = 0;
		uint32_t index[tracker_burst];
		if (unit_ == 1) {
			for (uint32_t i = 0; i < n; i++) {
				const uint8_t *key = keys + size_t{i} * key_size_;
				Region &region = regions_[region_of(key)];
				index[0] = i;
				std::lock_guard guard(region.lock);
				total += step(region, Part{key, 1, index});
			}
			return total;
		}
		for (uint32_t first = 0; first < n; first += tracker_burst) {
			uint32_t count = std::min(tracker_burst, n - first);
			uint8_t regions[tracker_burst], gathered[tracker_burst * 40];
			for (uint32_t i = 0; i < count; i++)
				regions[i] = static_cast<uint8_t>(region_of(keys + size_t{first + i} * key_size_));
			for (uint32_t left = count == 32 ? UINT32_MAX : (1u << count) - 1; left;) {
				uint8_t region = regions[std::countr_zero(left)];
				uint32_t size = 0;
				for (uint32_t m = left; m; m &= m - 1) {
					auto i = static_cast<uint32_t>(std::countr_zero(m));
					if (regions[i] != region)
						continue;
					left &= ~(1u << i);
					index[size] = first + i;
					std::memcpy(gathered + size_t{size} * key_size_,
					            keys + size_t{first + i} * key_size_, key_size_);
					size++;
				}
				std::lock_guard guard(regions_[region].lock);
				total += step(regions_[region], Part{gathered, size, index});
			}
		}
		return total;
	}

	std::vector<Region> regions_;
	uint32_t key_size_, unit_;
};

template <typename Lock> std::unique_ptr<SharedTracker> lock_one(const SharedOptions &options)
{
	Table table = make_timed_tracker(options.table, sized(options, 1));
	if (!table)
		return nullptr;
	return std::make_unique<Locked<Lock>>(std::move(table), options.timed.tracker.key_size);
}

bool make_parts(const SharedOptions &options, unsigned parts, std::vector<Table> &out)
{
	TimedOptions each = sized(options, parts);
	for (unsigned i = 0; i < parts; i++) {
		out.push_back(make_timed_tracker(options.table, each));
		if (!out.back())
			return false;
	}
	return true;
}

} // namespace

const char *sharing_name(Sharing sharing)
{
	constexpr const char *names[] = {"sharded", "mutex",   "spinlock",
	                                 "rwlock",  "striped", "concurrent"};
	return names[static_cast<unsigned>(sharing)];
}

std::unique_ptr<SharedTracker> make_locked(const SharedOptions &options)
{
	std::vector<Table> parts;
	switch (options.sharing) {
	case Sharing::sharded:
		return make_parts(options, options.nb_threads, parts)
		           ? std::make_unique<PerThread>(std::move(parts))
		           : nullptr;
	case Sharing::striped:
		return make_parts(options, Striped::nb_regions, parts)
		           ? std::make_unique<Striped>(std::move(parts), options.timed.tracker.key_size)
		           : nullptr;
	case Sharing::mutex:
		return lock_one<SleepingLock>(options);
	case Sharing::spinlock:
		return lock_one<shared::SpinLock>(options);
	case Sharing::rwlock:
		return lock_one<shared::SpinRwLock>(options);
	default:
		return nullptr;
	}
}

} // namespace reframer::conntrack
