// Deadlines of 16 bits, for tables of one thread and shared ones alike.
#pragma once

#include <cstdint>

namespace reframer::conntrack {

// Most ticks between a refresh and its 16-bit deadline: leaves the other half of the number circle
// to entries that are overdue. Longer timeouts are counted on in the entry.
constexpr uint32_t horizon = 1u << 14;
// A group is swept at least this often (ticks), so that no deadline is ever looked at more than
// 2^15 ticks late: two sweeps and the grace between them are 18432.
constexpr uint64_t sweep_limit = 8192;
constexpr uint64_t sweep_grace = 1024;
constexpr uint32_t max_timeout_ticks = (1u << 26) - 2 * horizon;

[[gnu::always_inline]] inline bool is_due(uint16_t deadline, uint64_t tick)
{
	return static_cast<int16_t>(static_cast<uint16_t>(tick) - deadline) >= 0;
}

} // namespace reframer::conntrack
