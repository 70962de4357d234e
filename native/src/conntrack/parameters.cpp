#include "conntrack/parameters.hpp"

#include "conntrack/layout.hpp"

#include <bit>
#include <chrono>
#include <exception>
#include <random>

namespace reframer::conntrack {

namespace {

constexpr uint64_t most_flows = uint64_t{1} << 26;

} // namespace

bool valid_params(const conntrack_params &p)
{
	uint32_t known = CONNTRACK_FIXED_SIZE | CONNTRACK_NIC_HASH | CONNTRACK_SYMMETRIC |
	    CONNTRACK_NO_EVICTION;
	if (p.size != sizeof(p) || p.flags & ~known)
		return false;
	if (p.key_size != CONNTRACK_KEY_IPV4 && p.key_size != CONNTRACK_KEY_IPV6)
		return false;
	if (p.state_size < 8 || p.state_size > 64 || p.state_size % 8)
		return false;
	if (p.initial_flows < 64 || p.initial_flows > most_flows || p.max_flows > most_flows ||
	    p.max_flows < p.initial_flows)
		return false;
	if (p.load_percent < 25 || p.load_percent > 97)
		return false;
	if (p.nb_groups < 1 || p.nb_groups > 4096 || !std::has_single_bit(p.nb_groups))
		return false;
	if (p.nb_groups > 1 && !(p.flags & CONNTRACK_NIC_HASH))
		return false;
	if (p.tick_ns < 1000 || p.tick_ns > 10'000'000'000u)
		return false;
	return std::all_of(p.timeout_ns, p.timeout_ns + CONNTRACK_NB_CLASSES, [&](uint64_t timeout) {
		return timeout / p.tick_ns < max_timeout_ticks;
	});
}

uint64_t random_seed()
{
	try {
		std::random_device device;
		uint64_t seed = (uint64_t{device()} << 32) ^ device();
		return seed ? seed : 1;
	} catch (const std::exception &) {
		// No source of randomness: addresses and time are what is left.
		return static_cast<uint64_t>(
		           std::chrono::steady_clock::now().time_since_epoch().count()) ^
		    reinterpret_cast<uintptr_t>(&valid_params);
	}
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
