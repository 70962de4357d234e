// Expiry beside a table, as in the paper: the table maps a key to a flow id, the id names a block
// with the time of the last packet. Blocks expire by wheel, scan or not until their place is needed.
#include "base/pages.hpp"
#include "conntrack/contenders/key_words.hpp"
#include "conntrack/expiry/timed_tracker.hpp"
#include "conntrack/expiry/timer_wheel.hpp"

#include <algorithm>
#include <atomic>
#include <new>
#include <optional>

namespace reframer::conntrack {

namespace {

// Blocks that a new flow looks at for a dead one when no id is free: bounds an insert's time.
constexpr uint32_t reclaim_window = 64;

template <unsigned Size> class FlowBlocks final : public TimedTracker {
	using Key = KeyWords<Size>;
	struct Block {
		Key key;
		uint64_t state;
		// Readers refresh it side by side.
		std::atomic<uint64_t> last_seen;
		bool used;
	};

public:
	FlowBlocks(std::unique_ptr<Tracker> table, const TimedOptions &options, uint64_t first_id)
		: table_(std::move(table)), expiry_(options.expiry), timeout_(options.timeout_ticks),
		  first_id_(first_id),
		  capacity_(static_cast<uint32_t>(std::max<uint64_t>(options.tracker.flows, 64))),
		  window_((capacity_ + options.ticks_per_second - 1) / options.ticks_per_second)
	{
		if (!pages_.map(capacity_ * sizeof(Block)))
			throw std::bad_alloc();
		blocks_ = reinterpret_cast<Block *>(pages_.data());
		free_.reserve(capacity_);
		for (uint32_t id = capacity_; id-- > 0;)
			free_.push_back(id);
		if (expiry_ == Expiry::wheel)
			wheel_.emplace(capacity_, timeout_);
	}

	uint32_t depth() const override { return table_->depth(); }
	bool reads_only() const override { return table_->reads_only(); }
	uint64_t residents() const override { return capacity_ - free_.size(); }
	size_t bytes() const override
	{
		return table_->bytes() + pages_.bytes() + capacity_ * sizeof(uint32_t) +
		       (wheel_ ? wheel_->bytes() : 0);
	}

	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t *values,
	              uint8_t *found) override
	{
		uint32_t total = 0;
		table_->find(keys, n, values, found);
		prefetch(values, found, n);
		for (uint32_t i = 0; i < n; i++) {
			if (!found[i])
				continue;
			Block &b = block(values[i]);
			found[i] = alive(b, tick);
			if (!found[i])
				continue;
			refresh(b, tick);
			values[i] = b.state;
			total++;
		}
		return total;
	}

	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t stamp,
	               uint8_t *results) override
	{
		uint32_t inserted = 0;
		for (uint32_t first = 0; first < n; first += tracker_burst)
			inserted += track_burst(keys + size_t{first} * Size, std::min(tracker_burst, n - first),
			                        tick, stamp, results + first);
		return inserted;
	}

	uint32_t remove(const uint8_t *keys, uint32_t n, uint64_t tick) override
	{
		uint32_t removed = 0;
		for (uint32_t i = 0; i < n; i++) {
			uint64_t id;
			uint8_t found;
			if (!table_->find(keys + size_t{i} * Size, 1, &id, &found))
				continue;
			removed += alive(block(id), tick);
			end(static_cast<uint32_t>(id - first_id_));
		}
		return removed;
	}

	uint32_t expire(uint64_t tick) override
	{
		uint64_t before = residents();
		if (wheel_)
			wheel_->fire(tick, [&](uint32_t id) {
				Block &b = blocks_[id];
				uint64_t last = b.last_seen.load(std::memory_order_relaxed);
				if (last + timeout_ > tick)
					wheel_->insert(id, last + timeout_);
				else
					release(id);
			});
		else if (expiry_ == Expiry::scan && tick > scanned_) {
			uint64_t most = std::min<uint64_t>((tick - scanned_) * window_, capacity_);
			scanned_ = tick;
			for (; most > 0; most--)
				bury_next(tick);
		}
		return static_cast<uint32_t>(before - residents());
	}

private:
	Block &block(uint64_t id) { return blocks_[id - first_id_]; }
	bool alive(const Block &b, uint64_t tick) const
	{
		return tick < b.last_seen.load(std::memory_order_relaxed) + timeout_;
	}
	static void refresh(Block &b, uint64_t tick)
	{
		if (b.last_seen.load(std::memory_order_relaxed) != tick)
			b.last_seen.store(tick, std::memory_order_relaxed);
	}
	void prefetch(const uint64_t *ids, const uint8_t *found, uint32_t n)
	{
		if (table_->depth() > 1)
			for (uint32_t i = 0; i < n; i++)
				if (found[i])
					__builtin_prefetch(&block(ids[i]));
	}

	uint32_t track_burst(const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t stamp,
	                     uint8_t *results)
	{
		uint64_t ids[tracker_burst];
		uint8_t found[tracker_burst];
		uint32_t fresh[tracker_burst], nb_fresh = 0, inserted = 0;
		table_->find(keys, n, ids, found);
		prefetch(ids, found, n);
		for (uint32_t i = 0; i < n; i++) {
			const uint8_t *key = keys + size_t{i} * Size;
			results[i] = 0;
			// A burst's new flow may have taken the block of a dead one that this key had found.
			if (found[i] && expiry_ == Expiry::lazy &&
			    !(block(ids[i]).used && block(ids[i]).key == Key::load(key)))
				found[i] = 0;
			// An earlier key of the burst may have been the same, also of that one.
			for (uint32_t k = 0; !found[i] && k < nb_fresh; k++)
				if (std::memcmp(key, keys + size_t{fresh[k]} * Size, Size) == 0) {
					ids[i] = ids[fresh[k]];
					found[i] = 1;
				}
			if (!found[i]) {
				if (!insert(key, tick, ids[i])) {
					results[i] = Tracker::refused;
					continue;
				}
				fresh[nb_fresh++] = i;
				results[i] = 1;
			} else if (!alive(block(ids[i]), tick)) {
				// Dead but not gone: the flow begins anew where it was.
				results[i] = 1;
			}
			inserted += results[i];
			Block &b = block(ids[i]);
			refresh(b, tick);
			b.state = stamp;
		}
		return inserted;
	}

	bool insert(const uint8_t *key, uint64_t tick, uint64_t &id)
	{
		for (bool reclaimed = false;; reclaimed = true) {
			if (free_.empty() && !(reclaim(tick)))
				return false;
			uint32_t local = free_.back();
			id = local + first_id_;
			uint8_t result;
			table_->track(key, 1, id, &result);
			if (result != Tracker::refused) {
				free_.pop_back();
				Block &b = blocks_[local];
				b.key = Key::load(key);
				b.last_seen.store(tick, std::memory_order_relaxed);
				b.used = true;
				if (wheel_)
					wheel_->insert(local, std::max(tick, wheel_->fired()) + timeout_);
				return true;
			}
			if (reclaimed || !reclaim(tick))
				return false;
		}
	}

	// Looks for dead flows to make place with. Wheel and scan have their own time for that.
	bool reclaim(uint64_t tick)
	{
		if (expiry_ != Expiry::lazy)
			return false;
		bool any = false;
		for (uint32_t i = 0; i < reclaim_window; i++)
			any |= bury_next(tick);
		return any;
	}
	bool bury_next(uint64_t tick)
	{
		uint32_t id = hand_;
		hand_ = hand_ + 1 < capacity_ ? hand_ + 1 : 0;
		if (!blocks_[id].used || alive(blocks_[id], tick))
			return false;
		release(id);
		return true;
	}
	void end(uint32_t id)
	{
		if (wheel_)
			wheel_->remove(id);
		release(id);
	}
	void release(uint32_t id)
	{
		table_->remove(reinterpret_cast<const uint8_t *>(blocks_[id].key.word), 1);
		blocks_[id].used = false;
		free_.push_back(id);
	}

	std::unique_ptr<Tracker> table_;
	Expiry expiry_;
	uint64_t timeout_, first_id_;
	uint32_t capacity_, window_, hand_ = 0;
	uint64_t scanned_ = 0;
	base::Pages pages_;
	Block *blocks_ = nullptr;
	std::vector<uint32_t> free_;
	std::optional<TimerWheel> wheel_;
};

class Untimed final : public TimedTracker {
public:
	explicit Untimed(std::unique_ptr<Tracker> table) : table_(std::move(table)) {}
	uint32_t depth() const override { return table_->depth(); }
	bool reads_only() const override { return table_->reads_only(); }
	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t, uint64_t *values,
	              uint8_t *found) override
	{
		return table_->find(keys, n, values, found);
	}
	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t, uint64_t stamp,
	               uint8_t *results) override
	{
		return table_->track(keys, n, stamp, results);
	}
	uint32_t remove(const uint8_t *keys, uint32_t n, uint64_t) override
	{
		return table_->remove(keys, n);
	}
	uint32_t expire(uint64_t) override { return 0; }
	uint64_t residents() const override { return table_->flows(); }
	size_t bytes() const override { return table_->bytes(); }

private:
	std::unique_ptr<Tracker> table_;
};

} // namespace

std::unique_ptr<TimedTracker> make_untimed(std::unique_ptr<Tracker> table)
{
	return std::make_unique<Untimed>(std::move(table));
}

std::unique_ptr<TimedTracker> make_flow_blocks(std::unique_ptr<Tracker> table,
                                               const TimedOptions &options, uint64_t first_id)
{
	if (options.tracker.key_size == 16)
		return std::make_unique<FlowBlocks<16>>(std::move(table), options, first_id);
	return std::make_unique<FlowBlocks<40>>(std::move(table), options, first_id);
}

} // namespace reframer::conntrack
