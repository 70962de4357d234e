// What tables of one thread and shared ones make of their parameters.
#pragma once

#include "api/why.hpp"
#include "reframer/conntrack_shared.h"

#include <algorithm>

namespace reframer::conntrack {

conntrack_params default_params();
// The parameters of a caller of any version, checked, over the defaults.
bool take_params(const conntrack_params *given, conntrack_params &full, api::Why &why);
bool take_shared_params(const conntrack_params *given, conntrack_params &full, api::Why &why);
// Timeouts in ticks, 0 never, and what of them the first 16-bit deadline covers.
void timeout_ticks(const conntrack_params &p, uint32_t *timeout, uint16_t *arm);
// Of `buckets`, so that calls every `interval_ns` look at each once a `period_ns`.
uint32_t buckets_per_interval(uint64_t buckets, uint64_t interval_ns, uint64_t period_ns);

// Walks the deadlines of an entry that has been idle for `idle` ticks when `deadline` was armed up
// to `tick`. True: its timeout (0 never) has passed by then. False: both are what they should be.
inline bool is_over(uint64_t timeout, uint64_t horizon, uint64_t &idle, uint64_t &deadline,
                    uint64_t tick)
{
	if (timeout == 0) {
		deadline = tick + horizon;
		return false;
	}
	auto armed = [&] { return std::min(timeout - idle, horizon); };
	while (deadline <= tick) {
		idle += armed();
		if (idle >= timeout)
			return true;
		deadline += armed();
	}
	return false;
}

} // namespace reframer::conntrack
