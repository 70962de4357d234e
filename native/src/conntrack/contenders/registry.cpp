// The trackers by name.
#include "conntrack/contenders/tracker.hpp"

#include <stdexcept>

namespace reframer::conntrack {

namespace {

struct Named {
	const char *name;
	std::unique_ptr<Tracker> (*make)(const TrackerOptions &);
};

constexpr Named known[] = {
    {"burst-table", [](const TrackerOptions &o) { return make_burst_table(o, BurstUse::bursts); }},
    {"burst-table-ahead", [](const TrackerOptions &o) { return make_burst_table(o, BurstUse::digests_ahead); }},
    {"burst-table-long", [](const TrackerOptions &o) { return make_burst_table(o, BurstUse::long_calls); }},
#ifdef REFRAMER_HAVE_RTE_HASH
    {"rte-hash", [](const TrackerOptions &o) { return make_rte_hash(o, false); }},
    {"rte-hash-burst", [](const TrackerOptions &o) { return make_rte_hash(o, true); }},
#endif
    {"cuckoopp", [](const TrackerOptions &o) { return make_cuckoopp(o, false); }},
    {"cuckoopp-burst", [](const TrackerOptions &o) { return make_cuckoopp(o, true); }},
#ifdef REFRAMER_HAVE_HOPSCOTCH
    {"hopscotch", [](const TrackerOptions &o) { return make_hopscotch(o, false); }},
    {"hopscotch-burst", [](const TrackerOptions &o) { return make_hopscotch(o, true); }},
#endif
#ifdef REFRAMER_HAVE_ROBIN
    {"robin", [](const TrackerOptions &o) { return make_robin(o, false); }},
    {"robin-burst", [](const TrackerOptions &o) { return make_robin(o, true); }},
#endif
    {"chaining", [](const TrackerOptions &o) { return make_chaining(o, false); }},
    {"chaining-burst", [](const TrackerOptions &o) { return make_chaining(o, true); }},
    {"chaining-stl", [](const TrackerOptions &o) { return make_chaining_stl(o); }},
#ifdef REFRAMER_HAVE_ABSL
    {"absl-flat", [](const TrackerOptions &o) { return make_absl_flat(o, false); }},
    {"absl-flat-burst", [](const TrackerOptions &o) { return make_absl_flat(o, true); }},
#endif
#ifdef REFRAMER_HAVE_CK
    {"ck-ht", [](const TrackerOptions &o) { return make_ck(o); }},
#endif
#ifdef REFRAMER_HAVE_BOOST
    {"boost-flat", [](const TrackerOptions &o) { return make_boost_flat(o); }},
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
	for (const Named &n : known)
		if (name == n.name)
			return n.make(options);
	throw std::invalid_argument("no tracker is called " + name);
}

} // namespace reframer::conntrack
