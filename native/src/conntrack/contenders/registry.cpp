// The trackers by name.
#include "conntrack/contenders/tracker.hpp"

#include <stdexcept>

namespace reframer::conntrack {

namespace {

using Make = std::unique_ptr<Tracker> (*)(const TrackerOptions &);

struct Named {
	const char *name;
	bool bursts; // takes several keys at once
	Make make;
};

constexpr Named known[] = {
	{"burst-table", true, make_burst_table},
#ifdef REFRAMER_HAVE_RTE_HASH
	{"rte-hash", false, make_rte_hash},
	{"rte-hash-burst", true, make_rte_hash},
#endif
	{"cuckoopp", false, make_cuckoopp},
	{"cuckoopp-burst", true, make_cuckoopp},
	{"cuckoopp-timers", false, make_cuckoopp_timers},
	{"cuckoopp-timers-burst", true, make_cuckoopp_timers},
#ifdef REFRAMER_HAVE_HOPSCOTCH
	{"hopscotch", false, make_hopscotch},
	{"hopscotch-burst", true, make_hopscotch},
#endif
#ifdef REFRAMER_HAVE_ROBIN
	{"robin", false, make_robin},
	{"robin-burst", true, make_robin},
#endif
	{"chaining", false, make_chaining},
	{"chaining-burst", true, make_chaining},
	{"chaining-stl", false, make_chaining_stl},
#ifdef REFRAMER_HAVE_ABSL
	{"absl-flat", false, make_absl_flat},
	{"absl-flat-burst", true, make_absl_flat},
#endif
#ifdef REFRAMER_HAVE_CK
	{"ck-ht", false, make_ck},
#endif
#ifdef REFRAMER_HAVE_BOOST
	{"boost-flat", false, make_boost_flat},
#endif
};

} // namespace

std::vector<std::string> tracker_names()
{
	std::vector<std::string> names;
	for (const Named &n : known)
		names.emplace_back(n.name);
	return names;
}

std::unique_ptr<Tracker> make_tracker(const std::string &name, const TrackerOptions &options)
{
	if (options.depth < 1 || options.depth > tracker_max_depth)
		throw std::invalid_argument("a tracker takes 1 to 256 keys at once");
	for (const Named &n : known) {
		if (name != n.name)
			continue;
		TrackerOptions own = options;
		own.depth = n.bursts ? options.depth : 1;
		return n.make(own);
	}
	throw std::invalid_argument("no tracker is called " + name);
}

} // namespace reframer::conntrack
