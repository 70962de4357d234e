// Cuckoo: DPDK's rte_hash itself, in the process of the lab only. Scalar as the paper used it, and
// in bulk as the library offers it.
#include "base/cores.hpp"
#include "base/pages.hpp"
#include "conntrack/contenders/eal.hpp"
#include "conntrack/contenders/tracker.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include <sched.h>

namespace reframer::conntrack {

// One EAL a process, ever. Huge pages if the machine has set some aside, else plain memory that
// never touches the disk.
bool start_eal()
{
	static const bool started = [] {
		// EAL pins the thread that starts it.
		const cpu_set_t before = base::affinity();
		unsigned long free_pages = 0;
		if (FILE *f = std::fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r")) {
			if (std::fscanf(f, "%lu", &free_pages) != 1)
				free_pages = 0;
			std::fclose(f);
		}
		bool huge = free_pages >= 256;
		std::string args[] = {"reframer-lab",
		                      "--no-pci",
		                      "--no-telemetry",
		                      "-l",
		                      "0",
		                      "--no-shconf", // or two labs at a time would fight over one lock
		                      "--log-level=lib.*:error",
		                      huge ? "--in-memory" : "--no-huge",
		                      huge ? "--single-file-segments" : "-m",
		                      "4096"};
		char *argv[10];
		int argc = huge ? 9 : 10;
		for (int i = 0; i < argc; i++)
			argv[i] = args[i].data();
		bool ok = rte_eal_init(argc, argv) >= 0;
		base::set_affinity(pthread_self(), before);
		return ok;
	}();
	return started;
}

namespace {

class RteHash final : public Tracker {
public:
	explicit RteHash(const TrackerOptions &options)
		: key_size_(options.key_size),
		  depth_(std::min<uint32_t>(options.depth, RTE_HASH_LOOKUP_BULK_MAX)),
		  updates_(options.updates)
	{
		static std::atomic<unsigned> number{0};
		std::string name = "reframer" + std::to_string(number++);
		rte_hash_parameters p = {};
		p.name = name.c_str();
		p.entries = static_cast<uint32_t>(std::max<uint64_t>(options.flows, 64));
		p.key_len = key_size_;
		p.hash_func = rte_hash_crc;
		p.socket_id = SOCKET_ID_ANY;
		hash_ = rte_hash_create(&p);
		if (!hash_)
			throw std::bad_alloc();
		slots_ = static_cast<uint64_t>(rte_hash_max_key_id(hash_)) + 1;
		if (updates_ && !state_pages_.map(slots_ * sizeof(uint64_t))) {
			rte_hash_free(hash_);
			throw std::bad_alloc();
		}
		states_ = reinterpret_cast<uint64_t *>(state_pages_.data());
	}
	~RteHash() override { rte_hash_free(hash_); }

	uint32_t depth() const override { return depth_; }
	// Not rte_hash_count(): DPDK 22.11 miscounts after overwriting a key's data.
	uint64_t flows() const override { return flows_; }
	size_t bytes() const override
	{
		// Per DPDK's layout: 64-byte buckets of 8, key slots of data and key rounded to 16, a
		// ring of free slots of 4 bytes.
		size_t buckets = 1;
		while (buckets * 8 < slots_)
			buckets *= 2;
		size_t slot = (8 + key_size_ + 15) & ~size_t{15};
		return buckets * 64 + slots_ * (slot + 4) + state_pages_.bytes();
	}

	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t *values, uint8_t *found) override
	{
		uint32_t total = 0;
		each_piece(keys, n, [&](uint32_t first, uint32_t count, const Piece &p) {
			for (uint32_t i = 0; i < count; i++) {
				found[first + i] = p.id[i] >= 0;
				if (p.id[i] >= 0) {
					values[first + i] =
						updates_ ? states_[p.id[i]] : reinterpret_cast<uintptr_t>(p.data[i]);
					total++;
				}
			}
		});
		return total;
	}

	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t stamp, uint8_t *results) override
	{
		uint32_t inserted = 0;
		each_piece(keys, n, [&](uint32_t first, uint32_t count, Piece &p) {
			uint32_t nb_fresh = 0; // of this piece, in p.fresh
			for (uint32_t i = 0; i < count; i++) {
				results[first + i] = 0;
				bool known = p.id[i] >= 0;
				if (!known || !updates_) {
					// A missing key is new unless this piece has inserted it before: then its hash
					// is among those of the new ones, and only then is it worth a lookup.
					if (!known &&
					    std::find(p.fresh, p.fresh + nb_fresh, p.hash[i]) != p.fresh + nb_fresh)
						known = rte_hash_lookup_with_hash(hash_, p.key[i], p.hash[i]) >= 0;
					int32_t id =
						updates_ ? rte_hash_add_key_with_hash(hash_, p.key[i], p.hash[i])
								 : rte_hash_add_key_with_hash_data(hash_, p.key[i], p.hash[i],
					                                               reinterpret_cast<void *>(stamp));
					if (id < 0) {
						results[first + i] = refused;
						continue;
					}
					p.id[i] = id;
					if (!known) {
						p.fresh[nb_fresh++] = p.hash[i];
						results[first + i] = 1;
						inserted++;
						flows_++;
					}
				}
				if (updates_)
					states_[p.id[i]] = stamp;
			}
		});
		return inserted;
	}

	uint32_t remove(const uint8_t *keys, uint32_t n) override
	{
		uint32_t removed = 0;
		for (uint32_t i = 0; i < n; i++)
			removed += rte_hash_del_key(hash_, keys + size_t{i} * key_size_) >= 0;
		flows_ -= removed;
		return removed;
	}

private:
	// Keys that are looked up together.
	struct Piece {
		const void *key[RTE_HASH_LOOKUP_BULK_MAX];
		void *data[RTE_HASH_LOOKUP_BULK_MAX];
		hash_sig_t hash[RTE_HASH_LOOKUP_BULK_MAX], fresh[RTE_HASH_LOOKUP_BULK_MAX];
		int32_t id[RTE_HASH_LOOKUP_BULK_MAX]; // without `updates` 0 for a key that is there
	};

	// Each key is hashed once, for its lookup and its insert.
	template <typename Step> void each_piece(const uint8_t *keys, uint32_t n, Step step)
	{
		Piece p;
		for (uint32_t first = 0; first < n; first += depth_) {
			uint32_t count = std::min(depth_, n - first);
			for (uint32_t i = 0; i < count; i++) {
				p.key[i] = keys + size_t{first + i} * key_size_;
				p.hash[i] = rte_hash_crc(p.key[i], key_size_, 0);
			}
			look_up(p, count);
			step(first, count, p);
		}
	}
	void look_up(Piece &p, uint32_t count)
	{
		if (depth_ == 1) {
			p.id[0] = updates_ ? rte_hash_lookup_with_hash(hash_, p.key[0], p.hash[0])
			                   : rte_hash_lookup_with_hash_data(hash_, p.key[0], p.hash[0], p.data);
		} else if (updates_) {
			rte_hash_lookup_with_hash_bulk(hash_, p.key, p.hash, count, p.id);
			for (uint32_t i = 0; i < count; i++)
				if (p.id[i] >= 0)
					__builtin_prefetch(&states_[p.id[i]], 1);
		} else {
			uint64_t hits = 0;
			rte_hash_lookup_with_hash_bulk_data(hash_, p.key, p.hash, count, &hits, p.data);
			for (uint32_t i = 0; i < count; i++)
				p.id[i] = hits >> i & 1 ? 0 : -1;
		}
	}

	rte_hash *hash_ = nullptr;
	uint32_t key_size_;
	uint32_t depth_;
	// rte_hash hands out no pointer to its data: state that packets change lies in an array
	// beside it, by key id, as in the paper.
	bool updates_;
	uint64_t slots_ = 0, flows_ = 0;
	base::Pages state_pages_;
	uint64_t *states_ = nullptr;
};

} // namespace

std::unique_ptr<Tracker> make_rte_hash(const TrackerOptions &options)
{
	if (!start_eal())
		return nullptr;
	return std::make_unique<RteHash>(options);
}

} // namespace reframer::conntrack
