// Cuckoo++ with the timers of its paper: deadlines beside the tags. A dead entry is not found, and
// gives its place to a new one that finds its bucket full (lazy); or a sweep comes past (scan).
#include "conntrack/contenders/cuckoopp.hpp"
#include "conntrack/expiry/timed_tracker.hpp"

namespace reframer::conntrack {

namespace {

template <unsigned Size> class TimedCuckoo final : public TimedTracker {
	using Table = CuckooTable<Size>;
	using Key = typename Table::Key;
	using Hash = typename Table::Hash;

public:
	explicit TimedCuckoo(const TimedOptions &options)
		: table_(options.tracker, true), timeout_(options.timeout_ticks)
	{
		// Deadlines are told apart in 16 bits only as long as none is older than half the circle,
		// so somebody has to come past even where expiry is lazy. A scan does once a second.
		uint32_t ticks =
			options.expiry == Expiry::scan ? options.ticks_per_second : cuckoo_timeout_limit;
		window_ = (table_.nb_buckets() + ticks - 1) / ticks;
	}

	uint32_t depth() const override { return table_.depth(); }
	bool reads_only() const override { return false; }
	uint64_t residents() const override { return table_.flows(); }
	size_t bytes() const override { return table_.bytes(); }

	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t *values,
	              uint8_t *found) override
	{
		uint32_t total = 0;
		table_.each(keys, n, [&](uint32_t i, const Key &key, Hash hash) {
			auto *record = table_.lookup(key, hash);
			found[i] = record && alive(record, tick);
			if (!found[i])
				return;
			refresh(record, tick);
			values[i] = record->value;
			total++;
		});
		return total;
	}

	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t tick, uint64_t stamp,
	               uint8_t *results) override
	{
		uint32_t inserted = 0;
		table_.each(keys, n, [&](uint32_t i, const Key &key, Hash hash) {
			auto *record = table_.lookup(key, hash);
			// Dead but not gone: the flow begins anew where it was.
			results[i] = !record || !alive(record, tick);
			if (!record)
				record = table_.insert(key, hash, static_cast<uint16_t>(tick));
			if (!record) {
				results[i] = Tracker::refused;
				return;
			}
			inserted += results[i];
			refresh(record, tick);
			record->value = stamp;
		});
		return inserted;
	}

	uint32_t remove(const uint8_t *keys, uint32_t n, uint64_t tick) override
	{
		uint32_t removed = 0;
		table_.each(keys, n, [&](uint32_t, const Key &key, Hash hash) {
			if (auto *record = table_.lookup(key, hash)) {
				removed += alive(record, tick);
				table_.erase(record);
			}
		});
		return removed;
	}

	uint32_t expire(uint64_t tick) override
	{
		const uint64_t before = table_.flows(), from = tick_;
		if (tick <= from)
			return 0;
		tick_ = tick;
		if (tick - from > leap) {
			// Sweeps keep every deadline within half the circle of the tick before.
			table_.each_entry([&](uint16_t due) {
				auto ahead =
					static_cast<int16_t>(static_cast<uint16_t>(due - static_cast<uint16_t>(from)));
				return ahead < 0 || static_cast<uint64_t>(ahead) <= tick - from;
			});
		} else {
			uint64_t most = std::min<uint64_t>((tick - from) * window_, table_.nb_buckets());
			for (; most > 0; most--) {
				table_.bury(hand_, static_cast<uint16_t>(tick));
				hand_ = hand_ + 1 < table_.nb_buckets() ? hand_ + 1 : 0;
			}
		}
		return static_cast<uint32_t>(before - table_.flows());
	}

private:
	// Overdue by less than a round of the sweep and a leap, ahead by less than the timeout: all told
	// within 2^15 ticks.
	static constexpr uint64_t leap = 8192;

	bool alive(const typename Table::Record *record, uint64_t tick)
	{
		return static_cast<int16_t>(static_cast<uint16_t>(tick - table_.due(record))) < 0;
	}
	void refresh(const typename Table::Record *record, uint64_t tick)
	{
		table_.due(record) = static_cast<uint16_t>(tick + timeout_);
	}

	Table table_;
	uint64_t timeout_, tick_ = 0;
	uint32_t window_ = 0, hand_ = 0;
};

} // namespace

std::unique_ptr<TimedTracker> make_timed_cuckoopp(const TimedOptions &options)
{
	if (options.tracker.key_size == 16)
		return std::make_unique<TimedCuckoo<16>>(options);
	return std::make_unique<TimedCuckoo<40>>(options);
}

} // namespace reframer::conntrack
