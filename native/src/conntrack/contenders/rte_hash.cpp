// Cuckoo: DPDK's rte_hash itself, in the process of the lab only. Scalar as the paper used it, and
// in bulk as the library offers it.
#include "conntrack/memory.hpp"
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
		cpu_set_t before;
		sched_getaffinity(0, sizeof(before), &before);
		unsigned long free_pages = 0;
		if (FILE *f = std::fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r")) {
			if (std::fscanf(f, "%lu", &free_pages) != 1)
				free_pages = 0;
			std::fclose(f);
		}
		bool huge = free_pages >= 256;
		std::string args[] = {"reframer-lab", "--no-pci", "--no-telemetry", "-l", "0",
		                      "--no-shconf", // or two labs at a time would fight over one lock
		                      "--log-level=lib.*:error",
		                      huge ? "--in-memory" : "--no-huge",
		                      huge ? "--single-file-segments" : "-m", "4096"};
		char *argv[10];
		int argc = huge ? 9 : 10;
		for (int i = 0; i < argc; i++)
			argv[i] = args[i].data();
		bool ok = rte_eal_init(argc, argv) >= 0;
		sched_setaffinity(0, sizeof(before), &before);
		return ok;
	}();
	return started;
}

namespace {

class RteHash final : public Tracker {
public:
	RteHash(const TrackerOptions &options, bool bursts)
	    : key_size_(options.key_size), bursts_(bursts), updates_(options.updates)
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

	uint32_t depth() const override { return bursts_ ? tracker_burst : 1; }
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
		each(keys, n, [&](uint32_t i, int32_t id, void *data, const uint8_t *) {
			found[i] = id >= 0;
			if (id >= 0) {
				values[i] = updates_ ? states_[id] : reinterpret_cast<uintptr_t>(data);
				total++;
			}
		});
		return total;
	}

	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t stamp, uint8_t *results) override
	{
		uint32_t inserted = 0;
		each(keys, n, [&](uint32_t i, int32_t id, void *, const uint8_t *key) {
			results[i] = 0;
			// In a burst the key may have come before.
			if (id < 0 && bursts_)
				id = rte_hash_lookup(hash_, key);
			if (id < 0 || !updates_) {
				bool is_new = id < 0;
				id = updates_ ? rte_hash_add_key(hash_, key)
				              : rte_hash_add_key_data(hash_, key, reinterpret_cast<void *>(stamp));
				if (id < 0) {
					results[i] = refused;
					return;
				}
				results[i] = is_new;
				inserted += is_new;
				flows_ += is_new;
			}
			if (updates_)
				states_[id] = stamp;
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
	template <typename Step> void each(const uint8_t *keys, uint32_t n, Step step)
	{
		if (!bursts_) {
			for (uint32_t i = 0; i < n; i++) {
				const uint8_t *key = keys + size_t{i} * key_size_;
				void *data = nullptr;
				int32_t id = updates_ ? rte_hash_lookup(hash_, key)
				                      : rte_hash_lookup_data(hash_, key, &data);
				step(i, id, data, key);
			}
			return;
		}
		const void *pointers[tracker_burst];
		void *data[tracker_burst] = {};
		int32_t ids[tracker_burst];
		for (uint32_t first = 0; first < n; first += tracker_burst) {
			uint32_t count = std::min(tracker_burst, n - first);
			for (uint32_t i = 0; i < count; i++)
				pointers[i] = keys + size_t{first + i} * key_size_;
			if (updates_) {
				rte_hash_lookup_bulk(hash_, pointers, count, ids);
				for (uint32_t i = 0; i < count; i++)
					if (ids[i] >= 0)
						__builtin_prefetch(&states_[ids[i]], 1);
			} else {
				uint64_t hits = 0;
				rte_hash_lookup_bulk_data(hash_, pointers, count, &hits, data);
				for (uint32_t i = 0; i < count; i++)
					ids[i] = hits >> i & 1 ? 0 : -1;
			}
			for (uint32_t i = 0; i < count; i++)
				step(first + i, ids[i], data[i], static_cast<const uint8_t *>(pointers[i]));
		}
	}

	rte_hash *hash_ = nullptr;
	uint32_t key_size_;
	bool bursts_;
	// rte_hash hands out no pointer to its data: state that packets change lies in an array
	// beside it, by key id, as in the paper.
	bool updates_;
	uint64_t slots_ = 0, flows_ = 0;
	Pages state_pages_;
	uint64_t *states_ = nullptr;
};

} // namespace

std::unique_ptr<Tracker> make_rte_hash(const TrackerOptions &options, bool bursts)
{
	if (!start_eal())
		return nullptr;
	return std::make_unique<RteHash>(options, bursts);
}

} // namespace reframer::conntrack
