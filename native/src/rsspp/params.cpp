// Defaults and ranges; reasons for the values are at the members in rsspp.h.
#include "rsspp/params.hpp"

#include "api/sized.hpp"

#include <cmath>
#include <limits>

namespace reframer::rsspp {

namespace {

constexpr double least_above_0 = std::numeric_limits<float>::min();
constexpr double most = std::numeric_limits<float>::max();

template <typename Params> Params defaults();

template <> rsspp_balancer_params defaults()
{
	rsspp_balancer_params p = {};
	p.size = sizeof p;
	p.nb_buckets = 512;
	p.nb_cores = 1;
	p.method = RSSPP_OURS;
	p.min_cores = 1;
	p.target_load = 0.8f;
	p.threshold = 0.02f;
	p.smoothing = 1.0f;
	p.hold_epochs = 0;
	p.shrink_epochs = 10;
	p.interval_us = 100'000;
	p.busy_interval_us = 10'000;
	return p;
}

template <> rsspp_handover_params defaults()
{
	rsspp_handover_params p = {};
	p.size = sizeof p;
	p.nb_buckets = 512;
	p.nb_cores = 1;
	p.hold_capacity = 65536;
	p.forward_capacity = 1024;
	return p;
}

bool right(const rsspp_balancer_params &p, api::Why &why)
{
	return why.within("nb_buckets", p.nb_buckets, 2, RSSPP_MAX_BUCKETS) &&
	       why.within("nb_cores", p.nb_cores, 1, RSSPP_MAX_CORES) &&
	       why.within("method", p.method, 0, RSSPP_EXACT) &&
	       why.within("min_cores", p.min_cores, 1, p.nb_cores) &&
	       why.real("target_load", p.target_load, std::nextafter(0.1f, 1.0f), 1) &&
	       why.real("threshold", p.threshold, 0, most) && why.real("trend", p.trend, 0, 1) &&
	       why.real("smoothing", p.smoothing, least_above_0, 1) &&
	       why.real("tolerance", p.tolerance, 0, most) &&
	       why.real("node_penalty", p.node_penalty, 0, most) &&
	       why.within("hold_epochs", p.hold_epochs, 0, 255) &&
	       why.within("shrink_epochs", p.shrink_epochs, 1, 1'000'000) &&
	       why.within("interval_us", p.interval_us, 1, 3'600'000'000u) &&
	       why.within("busy_interval_us", p.busy_interval_us, 1, p.interval_us);
}

bool right(const rsspp_handover_params &p, api::Why &why)
{
	const bool numbers = why.power_of_two("nb_buckets", p.nb_buckets, 2, RSSPP_MAX_BUCKETS) &&
	                     why.within("nb_cores", p.nb_cores, 1, RSSPP_MAX_CORES) &&
	                     why.within("hold_capacity", p.hold_capacity, 1, 1u << 24) &&
	                     why.power_of_two("forward_capacity", p.forward_capacity, 2, 1u << 20);
	if (!numbers)
		return false;
	for (uint32_t b = 0; p.owner && b < p.nb_buckets; b++)
		if (p.owner[b] >= p.nb_cores)
			return why.no("owner[%u] is %u, must be 0 to %u", b, p.owner[b], p.nb_cores - 1);
	return true;
}

template <typename Params> bool take(const Params *given, Params &full, api::Why &why)
{
	if (!why.given("params", given))
		return false;
	full = defaults<Params>();
	if (!api::read_params(*given, full))
		return why.size(given->size, sizeof full);
	return right(full, why);
}

template <typename Params> void init(Params *params, size_t size)
{
	if (!params)
		return;
	Params full = defaults<Params>();
	full.size = size;
	api::write_sized(params, size, full);
}

template <typename Params> int check(const Params *params, char *why, size_t n)
{
	api::Why reason(why, n);
	Params full;
	return api::result(take(params, full, reason));
}

} // namespace

bool take_params(const rsspp_balancer_params *given, rsspp_balancer_params &full, api::Why &why)
{
	return take(given, full, why);
}

bool take_params(const rsspp_handover_params *given, rsspp_handover_params &full, api::Why &why)
{
	return take(given, full, why);
}

} // namespace reframer::rsspp

using namespace reframer::rsspp;

extern "C" {

void rsspp_balancer_params_init(struct rsspp_balancer_params *params, size_t size)
{
	init(params, size);
}

int rsspp_balancer_check(const struct rsspp_balancer_params *params, char *why, size_t n)
{
	return check(params, why, n);
}

void rsspp_handover_params_init(struct rsspp_handover_params *params, size_t size)
{
	init(params, size);
}

int rsspp_handover_check(const struct rsspp_handover_params *params, char *why, size_t n)
{
	return check(params, why, n);
}

} // extern "C"
