// Cuckoo++ as the paper's authors compare it, whose entries stay until they are removed; and with
// timers, where each packet sets its entry's deadline anew.
#include "conntrack/contenders/cuckoopp.hpp"

namespace reframer::conntrack {

namespace {

template <unsigned Size, bool timers> class CuckooPlusPlus final : public Tracker {
	using Table = CuckooTable<Size>;
	using Key = typename Table::Key;
	using Hash = typename Table::Hash;

public:
	explicit CuckooPlusPlus(const TrackerOptions &options) : table_(options, timers) {}
	uint32_t depth() const override { return table_.depth(); }
	bool looks_ahead() const override { return table_.looks_ahead(); }
	uint64_t flows() const override { return table_.flows(); }
	size_t bytes() const override { return table_.bytes(); }

	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t *values, uint8_t *found) override
	{
		uint32_t total = 0;
		table_.each(keys, n, [&](uint32_t i, const Key &key, Hash hash) {
			auto *record = table_.lookup(key, hash);
			found[i] = record != nullptr;
			if (record) {
				values[i] = record->value;
				total++;
			}
		});
		return total;
	}

	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t stamp, uint8_t *results) override
	{
		uint32_t inserted = 0;
		const auto tick = static_cast<uint16_t>(clock_ns_ / tick_ns);
		table_.each(keys, n, [&](uint32_t i, const Key &key, Hash hash) {
			auto *record = table_.lookup(key, hash);
			results[i] = 0;
			if (!record) {
				record = table_.insert(key, hash, tick);
				results[i] = record ? 1 : refused;
				inserted += record != nullptr;
			}
			if (record) {
				record->value = stamp;
				if constexpr (timers)
					table_.due(record) = static_cast<uint16_t>(tick + timeout);
			}
		});
		clock_ns_ += uint64_t{n} * packet_ns;
		return inserted;
	}

	uint32_t remove(const uint8_t *keys, uint32_t n) override
	{
		uint32_t removed = 0;
		table_.each(keys, n, [&](uint32_t, const Key &key, Hash hash) {
			if (auto *record = table_.lookup(key, hash)) {
				table_.erase(record);
				removed++;
			}
		});
		return removed;
	}

private:
	// As the burst table's: the rate of the paper's traces, and a timeout that no flow of a
	// measurement reaches.
	static constexpr uint64_t packet_ns = 80, tick_ns = 1'000'000'000;
	static constexpr uint16_t timeout = 3600;
	Table table_;
	uint64_t clock_ns_ = tick_ns;
};

template <bool timers> std::unique_ptr<Tracker> make(const TrackerOptions &options)
{
	if (options.key_size == 16)
		return std::make_unique<CuckooPlusPlus<16, timers>>(options);
	return std::make_unique<CuckooPlusPlus<40, timers>>(options);
}

} // namespace

std::unique_ptr<Tracker> make_cuckoopp(const TrackerOptions &options)
{
	return make<false>(options);
}
std::unique_ptr<Tracker> make_cuckoopp_timers(const TrackerOptions &options)
{
	return make<true>(options);
}

} // namespace reframer::conntrack
