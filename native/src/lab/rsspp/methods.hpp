// Balancing methods by the names that they have in specifications, and how far off balance cores are.
#pragma once

#include "api/owned.hpp"
#include "jobs/job.hpp"

#include <algorithm>
#include <vector>

namespace reframer::lab {

inline rsspp_method method_of(const std::string &name)
{
	constexpr std::pair<const char *, rsspp_method> methods[] = {{"static", RSSPP_STATIC},
	                                                             {"greedy", RSSPP_GREEDY},
	                                                             {"ours", RSSPP_OURS},
	                                                             {"lpt", RSSPP_LPT},
	                                                             {"exact", RSSPP_EXACT}};
	for (const auto &[known, method] : methods)
		if (name == known)
			return method;
	throw JobError("bad-spec", "methods are static, greedy, ours, lpt and exact, not " + name, 2);
}

inline api::Balancer make_balancer(const rsspp_balancer_params &params)
{
	api::Balancer balancer = api::create<api::Balancer>(rsspp_balancer_create, params);
	if (!balancer)
		throw JobError("bad-spec", "cores or entries are out of range", 2);
	return balancer;
}

// @return how many moves
inline uint32_t balancer_step(rsspp_balancer *balancer, const rsspp_epoch &epoch,
                              std::vector<rsspp_move> &moves, rsspp_report &report)
{
	const int n = rsspp_balancer_step(balancer, &epoch, moves.data(), &report);
	if (n < 0)
		throw JobError("not-supported", "the method gave up: the case is too large for it", 3);
	return uint32_t(n);
}

// (max - min) / min of what cores got.
inline constexpr double imbalance_cap = 2000;
inline double imbalance_percent(uint64_t least, uint64_t most)
{
	return least ? std::min(imbalance_cap, 100.0 * double(most - least) / double(least))
	             : imbalance_cap;
}

} // namespace reframer::lab
