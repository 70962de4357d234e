// rte_hash for several threads as DPDK means it: lookups without locks, one lock for all writers,
// key slots reclaimed after every thread has reported a quiescent state.
#include "base/pages.hpp"
#include "conntrack/contenders/eal.hpp"
#include "conntrack/shared/shared_tracker.hpp"

#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <string>

namespace reframer::conntrack {

namespace {

// rte_hash keeps a cache of free slots for each lcore id, so writers need one.
struct Registration {
	bool ours = rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0;
	~Registration()
	{
		if (ours)
			rte_thread_unregister();
	}
};

class SharedRteHash final : public SharedTracker {
public:
	explicit SharedRteHash(const SharedOptions &options)
		: key_size_(options.timed.tracker.key_size), depth_(depth_of(options))
	{
		static std::atomic<unsigned> number{0};
		std::string name = "shared" + std::to_string(number++);
		rte_hash_parameters p = {};
		p.name = name.c_str();
		p.entries = static_cast<uint32_t>(std::max<uint64_t>(options.timed.tracker.flows, 64));
		p.key_len = key_size_;
		p.hash_func = rte_hash_crc;
		p.socket_id = SOCKET_ID_ANY;
		p.extra_flag =
			RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_MULTI_WRITER_ADD;
		size_t size = rte_rcu_qsbr_get_memsize(options.nb_threads);
		quiescence_ = static_cast<rte_rcu_qsbr *>(rte_zmalloc(nullptr, size, 64));
		hash_ = rte_hash_create(&p);
		rte_hash_rcu_config rcu = {};
		rcu.v = quiescence_;
		rcu.mode = RTE_HASH_QSBR_MODE_DQ;
		if (!hash_ || !quiescence_ || rte_rcu_qsbr_init(quiescence_, options.nb_threads) != 0 ||
		    rte_hash_rcu_qsbr_add(hash_, &rcu) != 0) {
			release();
			throw std::bad_alloc();
		}
		for (unsigned thread = 0; thread < options.nb_threads; thread++)
			rte_rcu_qsbr_thread_register(quiescence_, thread);
		// Ids are 1..max+1 here; 0 is not one.
		slots_ = static_cast<uint64_t>(rte_hash_max_key_id(hash_)) + 1;
		if (!state_pages_.map(slots_ * sizeof(uint64_t))) {
			release();
			throw std::bad_alloc();
		}
		states_ = reinterpret_cast<uint64_t *>(state_pages_.data());
	}
	~SharedRteHash() override { release(); }

	uint32_t depth() const override { return depth_; }
	// State lies beside the table: who inserts stores it after the key can be found.
	bool needs_owner() const override { return true; }

	uint32_t find(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t, uint64_t *values,
	              uint8_t *found) override
	{
		Online online(*this, thread);
		uint32_t total = 0;
		each_piece(keys, n, [&](uint32_t first, uint32_t count, const Piece &p) {
			for (uint32_t i = 0; i < count; i++) {
				found[first + i] = p.id[i] >= 0;
				if (p.id[i] >= 0) {
					values[first + i] = __atomic_load_n(&states_[p.id[i]], __ATOMIC_ACQUIRE);
					total++;
				}
			}
		});
		return total;
	}

	uint32_t track(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t, uint64_t stamp,
	               uint8_t *results) override
	{
		static thread_local Registration registration;
		Online online(*this, thread);
		uint32_t inserted = 0;
		each_piece(keys, n, [&](uint32_t first, uint32_t count, Piece &p) {
			uint32_t nb_fresh = 0; // of this piece, in p.fresh
			for (uint32_t i = 0; i < count; i++) {
				results[first + i] = 0;
				if (p.id[i] < 0) {
					// As in rte_hash.cpp: a key is its owner's to insert, so nobody else has.
					bool known =
						std::find(p.fresh, p.fresh + nb_fresh, p.hash[i]) != p.fresh + nb_fresh &&
						rte_hash_lookup_with_hash(hash_, p.key[i], p.hash[i]) >= 0;
					p.id[i] = rte_hash_add_key_with_hash(hash_, p.key[i], p.hash[i]);
					if (p.id[i] < 0) {
						results[first + i] = Tracker::refused;
						continue;
					}
					if (!known) {
						p.fresh[nb_fresh++] = p.hash[i];
						results[first + i] = 1;
						inserted++;
					}
				}
				__atomic_store_n(&states_[p.id[i]], stamp, __ATOMIC_RELEASE);
			}
		});
		flows_.fetch_add(inserted, std::memory_order_relaxed);
		return inserted;
	}

	uint32_t remove(unsigned thread, const uint8_t *keys, uint32_t n, uint64_t) override
	{
		static thread_local Registration registration;
		// Not online: a full queue of freed slots waits for those that are.
		uint32_t removed = 0;
		for (uint32_t i = 0; i < n; i++)
			removed += rte_hash_del_key(hash_, keys + size_t{i} * key_size_) >= 0;
		flows_.fetch_sub(removed, std::memory_order_relaxed);
		(void)thread;
		return removed;
	}
	uint32_t expire(unsigned, uint64_t) override { return 0; }
	uint64_t residents() const override { return flows_.load(); }
	size_t bytes() const override
	{
		// As in rte_hash.cpp.
		size_t buckets = 1;
		while (buckets * 8 < slots_)
			buckets *= 2;
		size_t slot = (8 + key_size_ + 15) & ~size_t{15};
		return buckets * 64 + slots_ * (slot + 4) + state_pages_.bytes();
	}

private:
	// A thread is online inside calls only: between them it may sleep.
	struct Online {
		Online(SharedRteHash &t, unsigned thread) : quiescence(t.quiescence_), id(thread)
		{
			rte_rcu_qsbr_thread_online(quiescence, id);
		}
		~Online() { rte_rcu_qsbr_thread_offline(quiescence, id); }
		rte_rcu_qsbr *quiescence;
		unsigned id;
	};

	void release()
	{
		rte_hash_free(hash_);
		rte_free(quiescence_);
	}

	static uint32_t depth_of(const SharedOptions &options)
	{
		return options.table == "rte-hash"
		           ? 1
		           : std::min<uint32_t>(options.timed.tracker.depth, RTE_HASH_LOOKUP_BULK_MAX);
	}

	// Keys that are looked up together.
	struct Piece {
		const void *key[RTE_HASH_LOOKUP_BULK_MAX];
		hash_sig_t hash[RTE_HASH_LOOKUP_BULK_MAX], fresh[RTE_HASH_LOOKUP_BULK_MAX];
		int32_t id[RTE_HASH_LOOKUP_BULK_MAX];
	};

	template <typename Step> void each_piece(const uint8_t *keys, uint32_t n, Step step)
	{
		Piece p;
		for (uint32_t first = 0; first < n; first += depth_) {
			uint32_t count = std::min(depth_, n - first);
			for (uint32_t i = 0; i < count; i++) {
				p.key[i] = keys + size_t{first + i} * key_size_;
				p.hash[i] = rte_hash_crc(p.key[i], key_size_, 0);
			}
			if (depth_ == 1) {
				p.id[0] = rte_hash_lookup_with_hash(hash_, p.key[0], p.hash[0]);
			} else {
				rte_hash_lookup_with_hash_bulk(hash_, p.key, p.hash, count, p.id);
				for (uint32_t i = 0; i < count; i++)
					if (p.id[i] >= 0)
						__builtin_prefetch(&states_[p.id[i]], 1);
			}
			step(first, count, p);
		}
	}

	rte_hash *hash_ = nullptr;
	rte_rcu_qsbr *quiescence_ = nullptr;
	uint32_t key_size_;
	uint32_t depth_;
	uint64_t slots_ = 0;
	std::atomic<uint64_t> flows_ = 0;
	base::Pages state_pages_;
	uint64_t *states_ = nullptr;
};

} // namespace

std::unique_ptr<SharedTracker> make_shared_rte_hash(const SharedOptions &options)
{
	if (!start_eal())
		return nullptr;
	return std::make_unique<SharedRteHash>(options);
}

} // namespace reframer::conntrack
