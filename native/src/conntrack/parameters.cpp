#include "conntrack/parameters.hpp"

#include "api/sized.hpp"
#include "base/entropy.hpp"
#include "conntrack/clock.hpp"
#include "conntrack/shared/bucket.hpp"

#include <bit>

namespace reframer::conntrack {

namespace {

constexpr uint64_t most_flows = uint64_t{1} << 26;
// Bytes: a flow block of some ten functions. Of a shared table what its calls copy on their stack.
constexpr uint32_t most_state = 512, most_shared_state = 64;
// Filled with random keys to 95 %, no table refused one: of 3,000 tables of a thousand flows, 100 of
// 65,536, 60 of a million, 4 of 4 million. At 97 % one in tens of tables of a million did.
constexpr uint32_t least_load_percent = 25, most_load_percent = 95;
// A shared table of fixed size has no stash: a key finds no room once the 32 buckets from its home on
// are full. 512 slots are 6.5 standard deviations above what 75 % brings to them, which befalls one
// in thousands of the largest tables. At 85 % it befell one in a hundred tables of 65,536 flows.
constexpr uint32_t most_fixed_shared_load_percent = 75;
static_assert((shared::max_reach + 1) * shared::slots_per_bucket == 512);

} // namespace

namespace {

constexpr uint32_t known_flags =
	CONNTRACK_FIXED_SIZE | CONNTRACK_NIC_HASH | CONNTRACK_SYMMETRIC | CONNTRACK_NO_EVICTION;

bool right_timeouts(const conntrack_params &p, api::Why &why)
{
	for (unsigned c = 0; c < CONNTRACK_NB_CLASSES; c++)
		if (p.timeout_ns[c] / p.tick_ns >= max_timeout_ticks)
			return why.no("timeout_ns[%u] is %" PRIu64 ", must be below %" PRIu64 ", %" PRIu64
			              " ticks of %" PRIu64 " ns",
			              c, p.timeout_ns[c], max_timeout_ticks * p.tick_ns,
			              uint64_t{max_timeout_ticks}, p.tick_ns);
	return true;
}

bool right(const conntrack_params &p, api::Why &why)
{
	if (p.key_size != CONNTRACK_KEY_IPV4 && p.key_size != CONNTRACK_KEY_IPV6)
		return why.no("key_size is %u, must be %u or %u", p.key_size, CONNTRACK_KEY_IPV4,
		              CONNTRACK_KEY_IPV6);
	if (p.state_size < 8 || p.state_size > most_state || p.state_size % 8)
		return why.no("state_size is %u, must be a multiple of 8, 8 to %u", p.state_size,
		              most_state);
	if (p.nb_groups > 1 && !(p.flags & CONNTRACK_NIC_HASH))
		return why.no("nb_groups is %u, must be 1 without CONNTRACK_NIC_HASH", p.nb_groups);
	return why.bits("flags", p.flags, known_flags) &&
	       why.within("initial_flows", p.initial_flows, 64, most_flows) &&
	       why.within("load_percent", p.load_percent, least_load_percent, most_load_percent) &&
	       why.within("max_flows", p.max_flows, p.initial_flows, most_flows) &&
	       why.power_of_two("nb_groups", p.nb_groups, 1, 4096) &&
	       why.within("tick_ns", p.tick_ns, 1000, 10'000'000'000u) && right_timeouts(p, why);
}

} // namespace

// Reasons for the values: at the members in conntrack.h.
conntrack_params default_params()
{
	conntrack_params params = {};
	params.size = sizeof params;
	params.key_size = CONNTRACK_KEY_IPV4;
	params.state_size = 8;
	params.initial_flows = 65536;
	params.load_percent = 70;
	params.max_flows = uint64_t{1} << 24;
	params.nb_groups = 1;
	params.tick_ns = 10'000'000;
	std::fill_n(params.timeout_ns, CONNTRACK_NB_CLASSES, 5'000'000'000u);
	return params;
}

bool take_params(const conntrack_params *given, conntrack_params &full, api::Why &why)
{
	if (!why.given("params", given))
		return false;
	full = default_params();
	if (!api::read_params(*given, full))
		return why.size(given->size, sizeof full);
	return right(full, why);
}

bool take_shared_params(const conntrack_params *given, conntrack_params &full, api::Why &why)
{
	if (!take_params(given, full, why))
		return false;
	if (full.flags & (CONNTRACK_NIC_HASH | CONNTRACK_SYMMETRIC))
		return why.no(
			"flags is 0x%x, a shared table has neither CONNTRACK_NIC_HASH nor CONNTRACK_SYMMETRIC",
			full.flags);
	if (full.state_size > most_shared_state)
		return why.no("state_size is %u, must be at most %u in a shared table", full.state_size,
		              most_shared_state);
	if (full.flags & CONNTRACK_FIXED_SIZE && full.load_percent > most_fixed_shared_load_percent)
		return why.no(
			"load_percent is %u, must be %u to %u in a shared table with CONNTRACK_FIXED_SIZE",
			full.load_percent, least_load_percent, most_fixed_shared_load_percent);
	return why.within("nb_groups", full.nb_groups, 1, 1) &&
	       why.within("tick_ns", full.tick_ns, 1'000'000, 10'000'000'000u);
}

void timeout_ticks(const conntrack_params &p, uint32_t *timeout, uint16_t *arm)
{
	for (unsigned c = 0; c < CONNTRACK_NB_CLASSES; c++) {
		// One more tick: an entry lives at least as long as asked, whenever in a tick it came.
		uint64_t ticks = (p.timeout_ns[c] + p.tick_ns - 1) / p.tick_ns + 1;
		timeout[c] = p.timeout_ns[c] ? static_cast<uint32_t>(ticks) : 0;
		arm[c] = static_cast<uint16_t>(p.timeout_ns[c] && ticks < horizon ? ticks : horizon);
	}
}

uint32_t buckets_per_interval(uint64_t buckets, uint64_t interval_ns, uint64_t period_ns)
{
	if (period_ns == 0 || interval_ns >= period_ns)
		return static_cast<uint32_t>(buckets);
	return static_cast<uint32_t>(double(buckets) * double(interval_ns) / double(period_ns)) + 1;
}

} // namespace reframer::conntrack

using namespace reframer;

extern "C" void conntrack_params_init(struct conntrack_params *params, size_t size)
{
	if (!params)
		return;
	conntrack_params full = conntrack::default_params();
	full.size = size;
	api::write_sized(params, size, full);
}

extern "C" int conntrack_check(const struct conntrack_params *params, char *why, size_t n)
{
	api::Why reason(why, n);
	conntrack_params full;
	return api::result(conntrack::take_params(params, full, reason));
}

extern "C" int conntrack_shared_check(const struct conntrack_params *params, char *why, size_t n)
{
	api::Why reason(why, n);
	conntrack_params full;
	return api::result(conntrack::take_shared_params(params, full, reason));
}
