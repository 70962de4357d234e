// libcuckoo: cuckoo hashing with four slots a bucket, optimistic path search and striped locks.
#include "conntrack/contenders/concurrent_peer.hpp"

#include <algorithm>

#include <libcuckoo/cuckoohash_map.hh>

namespace reframer::conntrack {

namespace {

template <unsigned Size> class LibCuckooMap {
	using Key = KeyWords<Size>;
	struct Hash {
		// Its tags come from the hash's upper half: spread the CRC over all of it.
		size_t operator()(const Key &key) const
		{
			return crc_hash(key) * size_t{0x9e3779b97f4a7c15u};
		}
	};
	using Map = libcuckoo::cuckoohash_map<Key, uint64_t, Hash>;

public:
	explicit LibCuckooMap(uint64_t flows) : map_(flows) {}
	bool find(const Key &key, uint64_t &value) { return map_.find(key, value); }
	bool store(const Key &key, uint64_t value) { return map_.insert_or_assign(key, value); }
	bool erase(const Key &key) { return map_.erase(key); }
	uint64_t size() const { return map_.size(); }
	size_t bytes() const
	{
		// A bucket: pairs, a tag and a mark for each. Locks are 64 bytes, one a bucket up to 2^16.
		return map_.bucket_count() *
		           (Map::slot_per_bucket() * (sizeof(typename Map::value_type) + 2)) +
		       std::min<size_t>(map_.bucket_count(), size_t{1} << 16) * 64;
	}

private:
	Map map_;
};

} // namespace

std::unique_ptr<SharedTracker> make_libcuckoo(const SharedOptions &options)
{
	return make_peer<LibCuckooMap>(options);
}

} // namespace reframer::conntrack
