// What those who put the burst table behind an interface want to know of it.
#pragma once

#include "reframer/conntrack.h"

namespace reframer::conntrack {

inline conntrack_stats stats_of(const conntrack_table *table)
{
	conntrack_stats stats;
	conntrack_get_stats(table, &stats);
	return stats;
}

} // namespace reframer::conntrack
