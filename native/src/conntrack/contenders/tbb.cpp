// oneTBB's concurrent_hash_map: a reader-writer lock for each bucket and each entry.
#include "conntrack/contenders/concurrent_peer.hpp"

#include <tbb/concurrent_hash_map.h>

namespace reframer::conntrack {

namespace {

template <unsigned Size> class TbbMap {
	using Key = KeyWords<Size>;
	struct Compare {
		static size_t hash(const Key &key) { return crc_hash(key) * size_t{0x9e3779b97f4a7c15u}; }
		static bool equal(const Key &a, const Key &b) { return a == b; }
	};
	using Map = tbb::concurrent_hash_map<Key, uint64_t, Compare>;

public:
	explicit TbbMap(uint64_t flows) : map_(flows) {}
	bool find(const Key &key, uint64_t &value)
	{
		typename Map::const_accessor found;
		if (!map_.find(found, key))
			return false;
		value = found->second;
		return true;
	}
	bool store(const Key &key, uint64_t value)
	{
		typename Map::accessor entry;
		bool is_new = map_.insert(entry, key);
		entry->second = value;
		return is_new;
	}
	bool erase(const Key &key) { return map_.erase(key); }
	uint64_t size() const { return map_.size(); }
	size_t bytes() const
	{
		// A bucket: lock and list; a node: link, lock, pair, in cache-aligned pieces of the allocator.
		return map_.bucket_count() * 16 +
		       map_.size() * ((16 + sizeof(typename Map::value_type) + 15) & ~size_t{15});
	}

private:
	Map map_;
};

} // namespace

std::unique_ptr<SharedTracker> make_tbb(const SharedOptions &options)
{
	return make_peer<TbbMap>(options);
}

} // namespace reframer::conntrack
