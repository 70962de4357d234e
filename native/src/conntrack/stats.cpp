// What a table counts of itself.
#include "api/sized.hpp"
#include "conntrack/table.hpp"

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
		out.slots += uint64_t{g->main.nb_pages} * cells_per_page * fillable / out_of;
		out.bytes += sizeof(*g) + bytes_of(t, g->main) + bytes_of(t, g->stash);
		out.away += g->stash.flows;
		out.spilled += g->stash.flows;
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

extern "C" void conntrack_stats_get(const struct conntrack_table *t, struct conntrack_stats *out,
                                    size_t size)
{
	if (out)
		reframer::api::write_sized(out, size, t ? stats_of(*t) : conntrack_stats{});
}
