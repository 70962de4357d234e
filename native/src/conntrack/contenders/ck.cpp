// Concurrency Kit's ck_ht: open addressing by cache lines, keys by pointer. One writer at a time, and
// here one thread: readers beside it would need a scheme of the caller's to keep removed keys alive.
#include "conntrack/contenders/key_words.hpp"
#include "conntrack/contenders/tracker.hpp"

extern "C" {
#include <ck_ht.h>
}

#include <algorithm>
#include <cstdlib>
#include <new>

namespace reframer::conntrack {

namespace {

// What the table of this thread's call allocates is counted there.
thread_local size_t *account = nullptr;

void *take(size_t bytes)
{
	*account += bytes;
	return std::malloc(bytes);
}
void give(void *memory, size_t bytes, bool)
{
	*account -= bytes;
	std::free(memory);
}
ck_malloc allocator = {take, nullptr, give};

template <unsigned Size> class CkTable final : public Tracker {
	using Key = KeyWords<Size>;
	struct Node {
		Key key;
		uint64_t value;
	};
	static constexpr size_t chunk = 4096;

public:
	explicit CkTable(const TrackerOptions &options)
	{
		account = &table_bytes_;
		// It grows when half full.
		if (!ck_ht_init(&table_, CK_HT_MODE_BYTESTRING | CK_HT_WORKLOAD_DELETE, nullptr, &allocator,
		                std::max<uint64_t>(options.flows, 64) * 2, options.seed))
			throw std::bad_alloc();
	}
	~CkTable() override
	{
		account = &table_bytes_;
		ck_ht_destroy(&table_);
	}

	uint32_t depth() const override { return 1; }
	uint64_t flows() const override { return flows_; }
	size_t bytes() const override { return table_bytes_ + chunks_.size() * chunk * sizeof(Node); }

	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t *values, uint8_t *found) override
	{
		uint32_t total = 0;
		for (uint32_t i = 0; i < n; i++) {
			const Node *node = lookup(keys + size_t{i} * Size);
			found[i] = node != nullptr;
			if (node)
				values[i] = node->value;
			total += found[i];
		}
		return total;
	}

	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t stamp, uint8_t *results) override
	{
		account = &table_bytes_;
		uint32_t inserted = 0;
		for (uint32_t i = 0; i < n; i++) {
			Node *node = lookup(keys + size_t{i} * Size);
			results[i] = node == nullptr;
			if (!node && !(node = insert(keys + size_t{i} * Size))) {
				results[i] = refused;
				continue;
			}
			inserted += results[i];
			node->value = stamp;
		}
		return inserted;
	}

	uint32_t remove(const uint8_t *keys, uint32_t n) override
	{
		account = &table_bytes_;
		uint32_t removed = 0;
		for (uint32_t i = 0; i < n; i++) {
			Asked asked(*this, keys + size_t{i} * Size);
			if (!ck_ht_remove_spmc(&table_, asked.hash, &asked.entry))
				continue;
			free_.push_back(static_cast<Node *>(ck_ht_entry_value(&asked.entry)));
			flows_--;
			removed++;
		}
		return removed;
	}

private:
	struct Asked {
		ck_ht_hash_t hash;
		ck_ht_entry_t entry;

		Asked(CkTable &t, const uint8_t *key)
		{
			ck_ht_hash(&hash, &t.table_, key, Size);
			ck_ht_entry_key_set(&entry, key, Size);
		}
	};

	Node *lookup(const uint8_t *key)
	{
		Asked asked(*this, key);
		return ck_ht_get_spmc(&table_, asked.hash, &asked.entry)
		           ? static_cast<Node *>(ck_ht_entry_value(&asked.entry))
		           : nullptr;
	}

	Node *insert(const uint8_t *key)
	{
		if (free_.empty()) {
			chunks_.push_back(std::make_unique<Node[]>(chunk));
			for (size_t i = chunk; i-- > 0;)
				free_.push_back(&chunks_.back()[i]);
		}
		Node *node = free_.back();
		node->key = Key::load(key);
		ck_ht_hash_t hash;
		ck_ht_entry_t entry;
		ck_ht_hash(&hash, &table_, &node->key, Size);
		ck_ht_entry_set(&entry, hash, &node->key, Size, node);
		if (!ck_ht_put_spmc(&table_, hash, &entry))
			return nullptr;
		free_.pop_back();
		flows_++;
		return node;
	}

	ck_ht_t table_;
	size_t table_bytes_ = 0;
	uint64_t flows_ = 0;
	std::vector<std::unique_ptr<Node[]>> chunks_;
	std::vector<Node *> free_;
};

} // namespace

std::unique_ptr<Tracker> make_ck(const TrackerOptions &options)
{
	if (options.key_size == 16)
		return std::make_unique<CkTable<16>>(options);
	return std::make_unique<CkTable<40>>(options);
}

} // namespace reframer::conntrack
