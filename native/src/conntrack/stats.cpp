// What a table counts of itself.
#include "api/sized.hpp"
#include "conntrack/table.hpp"

#include <algorithm>

using namespace reframer::conntrack;

namespace {

conntrack_stats stats_of(const conntrack_table &t)
{
	conntrack_stats out = {};
	out.flows = t.flows;
	out.bytes = sizeof(t);
	for (const conntrack_group *g : t.group_storage) {
		if (!g)
			continue;
		out.slots += uint64_t{g->now.nb_buckets - g->frontier} * slots_per_bucket;
		out.slots += uint64_t{g->next.nb_buckets} * slots_per_bucket * g->frontier /
		    std::max(g->now.nb_buckets, 1u);
		out.bytes += sizeof(*g) + g->now.bytes();
		// Of what growth has mapped the kernel gives pages as the frontier reaches them.
		double reached = g->next_touched ? 1 : double(g->frontier) / std::max(g->now.nb_buckets, 1u);
		out.bytes += static_cast<uint64_t>(double(g->next.bytes()) * reached);
		out.away += g->away + g->spilled;
		out.spilled += g->spilled;
		out.growing += g->growing();
	}
	out.inserted = t.inserted;
	out.removed = t.removed;
	out.expired = t.expired;
	out.evicted = t.evicted;
	out.refused = t.refused;
	out.not_owned = t.not_owned;
	out.moved = t.moved;
	return out;
}

} // namespace

extern "C" void conntrack_stats_get(const struct conntrack_table *t, struct conntrack_stats *out, size_t size)
{
	if (out)
		reframer::api::write_sized(out, size, t ? stats_of(*t) : conntrack_stats{});
}
