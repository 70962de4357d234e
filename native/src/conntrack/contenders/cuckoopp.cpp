// Cuckoo++ as the paper's authors compare it: entries stay until they are removed.
#include "conntrack/contenders/cuckoopp.hpp"

namespace reframer::conntrack {

namespace {

template <unsigned Size> class CuckooPlusPlus final : public Tracker {
	using Table = CuckooTable<Size>;
	using Key = typename Table::Key;
	using Hash = typename Table::Hash;

public:
	explicit CuckooPlusPlus(const TrackerOptions &options) : table_(options, false) {}
	uint32_t depth() const override { return table_.depth(); }
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
		table_.each(keys, n, [&](uint32_t i, const Key &key, Hash hash) {
			auto *record = table_.lookup(key, hash);
			results[i] = 0;
			if (!record) {
				record = table_.insert(key, hash);
				results[i] = record ? 1 : refused;
				inserted += record != nullptr;
			}
			if (record)
				record->value = stamp;
		});
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
	Table table_;
};

} // namespace

std::unique_ptr<Tracker> make_cuckoopp(const TrackerOptions &options)
{
	if (options.key_size == 16)
		return std::make_unique<CuckooPlusPlus<16>>(options);
	return std::make_unique<CuckooPlusPlus<40>>(options);
}

} // namespace reframer::conntrack
