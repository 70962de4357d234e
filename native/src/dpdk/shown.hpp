// Flow tables that telemetry shows, by name.
#pragma once

#include "reframer/conntrack.h"

#include <functional>

namespace reframer::dpdk {

// 0, -EEXIST, -EINVAL, -ENOMEM. Names are letters, digits, '_' and '-'.
int show_table(const char *name, const conntrack_table *table);
void hide_table(const conntrack_table *table);
void each_table(const std::function<void(const char *name, const conntrack_table &table)> &work);

} // namespace reframer::dpdk
