// Chaining as in Click's HashContainerMP: a power of two of heads, singly linked nodes from a
// pool, no rebalancing. Bursts prefetch heads, then first nodes.
#include "base/pages.hpp"
#include "conntrack/contenders/key_words.hpp"
#include "conntrack/contenders/tracker.hpp"

#include <algorithm>
#include <bit>
#include <new>

namespace reframer::conntrack {

namespace {

template <unsigned Size> class Chaining final : public Tracker {
	using Key = KeyWords<Size>;
	struct Node {
		Key key;
		uint64_t value;
		uint32_t next;
	};
	static constexpr uint32_t none = 0; // node 0 is never handed out

public:
	explicit Chaining(const TrackerOptions &options) : depth_(options.depth)
	{
		capacity_ = std::bit_ceil(std::max<uint64_t>(options.flows, 64));
		mask_ = static_cast<uint32_t>(capacity_ - 1);
		if (!head_pages_.map(capacity_ * sizeof(uint32_t)) ||
		    !node_pages_.map((capacity_ + 1) * sizeof(Node)))
			throw std::bad_alloc();
		heads_ = reinterpret_cast<uint32_t *>(head_pages_.data());
		nodes_ = reinterpret_cast<Node *>(node_pages_.data());
	}

	uint32_t depth() const override { return depth_; }
	uint64_t flows() const override { return flows_; }
	size_t bytes() const override { return head_pages_.bytes() + (nb_nodes_ + 1) * sizeof(Node); }

	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t *values, uint8_t *found) override
	{
		uint32_t total = 0;
		each(keys, n, [&](uint32_t i, const Key &key, uint32_t bucket) {
			uint32_t node = *link_to(key, bucket);
			found[i] = node != none;
			if (node != none) {
				values[i] = nodes_[node].value;
				total++;
			}
		});
		return total;
	}

	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t stamp, uint8_t *results) override
	{
		uint32_t inserted = 0;
		each(keys, n, [&](uint32_t i, const Key &key, uint32_t bucket) {
			uint32_t node = *link_to(key, bucket);
			results[i] = 0;
			if (node == none) {
				node = take_node();
				if (node == none) {
					results[i] = refused;
					return;
				}
				nodes_[node].key = key;
				nodes_[node].next = heads_[bucket];
				heads_[bucket] = node;
				flows_++;
				results[i] = 1;
				inserted++;
			}
			nodes_[node].value = stamp;
		});
		return inserted;
	}

	uint32_t remove(const uint8_t *keys, uint32_t n) override
	{
		uint32_t removed = 0;
		each(keys, n, [&](uint32_t, const Key &key, uint32_t bucket) {
			uint32_t *link = link_to(key, bucket);
			uint32_t node = *link;
			if (node == none)
				return;
			*link = nodes_[node].next;
			nodes_[node].next = free_;
			free_ = node;
			flows_--;
			removed++;
		});
		return removed;
	}

private:
	uint32_t take_node()
	{
		if (free_ != none) {
			uint32_t node = free_;
			free_ = nodes_[node].next;
			return node;
		}
		return nb_nodes_ < capacity_ ? static_cast<uint32_t>(++nb_nodes_) : none;
	}
	uint32_t *link_to(const Key &key, uint32_t bucket)
	{
		uint32_t *link = &heads_[bucket];
		while (*link != none && !(nodes_[*link].key == key))
			link = &nodes_[*link].next;
		return link;
	}

	template <typename Step> void each(const uint8_t *keys, uint32_t n, Step step)
	{
		auto key_of = [&](uint32_t i) { return Key::load(keys + size_t{i} * Size); };
		if (depth_ == 1) {
			for (uint32_t i = 0; i < n; i++)
				step(i, key_of(i), crc_hash(key_of(i)) & mask_);
			return;
		}
		uint32_t buckets[tracker_max_depth];
		for (uint32_t first = 0; first < n; first += depth_) {
			uint32_t count = std::min(depth_, n - first);
			for (uint32_t i = 0; i < count; i++) {
				buckets[i] = crc_hash(key_of(first + i)) & mask_;
				__builtin_prefetch(&heads_[buckets[i]]);
			}
			for (uint32_t i = 0; i < count; i++)
				__builtin_prefetch(&nodes_[heads_[buckets[i]]]);
			for (uint32_t i = 0; i < count; i++)
				step(first + i, key_of(first + i), buckets[i]);
		}
	}

	uint32_t depth_;
	uint64_t capacity_ = 0, nb_nodes_ = 0, flows_ = 0;
	uint32_t mask_ = 0, free_ = none;
	base::Pages head_pages_, node_pages_;
	uint32_t *heads_ = nullptr;
	Node *nodes_ = nullptr;
};

} // namespace

std::unique_ptr<Tracker> make_chaining(const TrackerOptions &options)
{
	if (options.key_size == 16)
		return std::make_unique<Chaining<16>>(options);
	return std::make_unique<Chaining<40>>(options);
}

} // namespace reframer::conntrack
