// Tables that several threads may use as they are, and expiry on top of them.
#include "conntrack/shared/per_thread.hpp"

#include <algorithm>
#include <stdexcept>

namespace reframer::conntrack {

namespace {

struct Named {
	const char *name;
	std::unique_ptr<SharedTracker> (*make)(const SharedOptions &);
};

constexpr Named known[] = {
	{"burst-table", make_shared_burst_table},
#ifdef REFRAMER_HAVE_RTE_HASH
	{"rte-hash", make_shared_rte_hash},
	{"rte-hash-burst", make_shared_rte_hash},
#endif
#ifdef REFRAMER_HAVE_LIBCUCKOO
	{"libcuckoo", make_libcuckoo},
#endif
#ifdef REFRAMER_HAVE_TBB
	{"tbb", make_tbb},
#endif
#ifdef REFRAMER_HAVE_URCU
	{"urcu-lfht", make_urcu},
#endif
};

// One thread's view of a table that others use too.
class View final : public Tracker {
public:
	View(SharedTracker &table, unsigned thread) : table_(table), thread_(thread) {}
	uint32_t depth() const override { return table_.depth(); }
	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t *values, uint8_t *found) override
	{
		return table_.find(thread_, keys, n, 0, values, found);
	}
	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t stamp, uint8_t *results) override
	{
		return table_.track(thread_, keys, n, 0, stamp, results);
	}
	uint32_t remove(const uint8_t *keys, uint32_t n) override
	{
		return table_.remove(thread_, keys, n, 0);
	}
	uint64_t flows() const override { return 0; }
	size_t bytes() const override { return 0; }

private:
	SharedTracker &table_;
	unsigned thread_;
};

// A shared table of flow ids; each thread has the blocks of its own flows, and its own wheel. So
// did the paper.
std::unique_ptr<SharedTracker> expire_beside(std::unique_ptr<SharedTracker> table,
                                             const SharedOptions &options)
{
	std::vector<std::unique_ptr<TimedTracker>> threads;
	for (unsigned thread = 0; thread < options.nb_threads; thread++)
		threads.push_back(make_flow_blocks(std::make_unique<View>(*table, thread), options.timed,
		                                   1 + thread * options.timed.tracker.flows));
	return std::make_unique<PerThread>(std::move(threads), std::move(table));
}

} // namespace

std::vector<std::string> concurrent_names()
{
	std::vector<std::string> names;
	for (const Named &n : known)
		names.emplace_back(n.name);
	return names;
}

std::unique_ptr<SharedTracker> make_shared_tracker(const SharedOptions &options)
{
	const Named *own = std::find_if(std::begin(known), std::end(known),
	                                [&](const Named &n) { return options.table == n.name; });
	if (options.sharing != Sharing::concurrent) {
		std::vector<std::string> names = tracker_names();
		if (own != std::end(known) &&
		    std::find(names.begin(), names.end(), options.table) == names.end())
			return nullptr;
		return make_locked(options);
	}
	if (own == std::end(known)) {
		std::vector<std::string> names = tracker_names();
		if (std::find(names.begin(), names.end(), options.table) == names.end())
			throw std::invalid_argument("no tracker is called " + options.table);
		return nullptr;
	}
	Expiry expiry = options.timed.expiry;
	bool inside =
		expiry == Expiry::none || (options.table == "burst-table" && expiry != Expiry::wheel);
	if (inside)
		return own->make(options);
	SharedOptions untimed = options;
	untimed.timed.expiry = Expiry::none;
	std::unique_ptr<SharedTracker> table = own->make(untimed);
	return table ? expire_beside(std::move(table), options) : nullptr;
}

} // namespace reframer::conntrack
