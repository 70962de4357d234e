#include "conntrack/contenders/eal.hpp"
#include "conntrack/contenders/positions.hpp"

#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <string>

namespace reframer::conntrack {

namespace {

constexpr uint32_t key_size = 16;
static_assert(Positions::most == RTE_HASH_LOOKUP_BULK_MAX);

class RtePositions final : public Positions {
public:
	explicit RtePositions(uint32_t keys)
	{
		static std::atomic<unsigned> number{0};
		const std::string name = "positions" + std::to_string(number++);
		rte_hash_parameters p = {};
		p.name = name.c_str();
		p.entries = std::max(keys, 64u);
		p.key_len = key_size;
		p.hash_func = rte_hash_crc;
		p.socket_id = SOCKET_ID_ANY;
		hash_ = rte_hash_create(&p);
		if (!hash_)
			throw std::bad_alloc();
	}
	~RtePositions() override { rte_hash_free(hash_); }

	uint32_t end() const override { return static_cast<uint32_t>(rte_hash_max_key_id(hash_)) + 1; }
	void find(const void *keys, uint32_t n, int32_t *positions) override
	{
		const void *each[RTE_HASH_LOOKUP_BULK_MAX];
		for (uint32_t i = 0; i < n; i++)
			each[i] = static_cast<const uint8_t *>(keys) + size_t{i} * key_size;
		rte_hash_lookup_bulk(hash_, each, n, positions);
	}
	int32_t add(const void *key) override { return rte_hash_add_key(hash_, key); }
	void key_at(int32_t position, void *key) override
	{
		void *there = nullptr;
		rte_hash_get_key_with_position(hash_, position, &there);
		std::memcpy(key, there, key_size);
	}
	void remove(int32_t position, void *key) override
	{
		key_at(position, key);
		rte_hash_del_key(hash_, key);
	}
	size_t bytes() const override
	{
		// As DPDK lays it out: buckets of 64 bytes for 8, slots of data and key, a ring of free ones.
		size_t buckets = 1;
		while (buckets * 8 < end())
			buckets *= 2;
		return buckets * 64 + size_t{end()} * ((8 + key_size + 15) / 16 * 16 + 4);
	}

private:
	rte_hash *hash_;
};

} // namespace

std::unique_ptr<Positions> make_rte_positions(uint32_t keys)
{
	return start_eal() ? std::make_unique<RtePositions>(keys) : nullptr;
}

} // namespace reframer::conntrack
