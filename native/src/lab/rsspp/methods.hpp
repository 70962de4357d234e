// Names of the balancing methods in specifications and results.
#pragma once

#include "jobs/job.hpp"
#include "reframer/rsspp.h"

namespace reframer::lab {

inline rsspp_method method_of(const std::string &name)
{
	constexpr struct {
		const char *name;
		rsspp_method method;
	} methods[] = {{"static", RSSPP_STATIC},
	               {"greedy", RSSPP_GREEDY},
	               {"ours", RSSPP_OURS},
	               {"lpt", RSSPP_LPT},
	               {"exact", RSSPP_EXACT}};
	for (const auto &m : methods)
		if (name == m.name)
			return m.method;
	throw JobError("bad-spec", "methods are static, greedy, ours, lpt and exact, not " + name, 2);
}

} // namespace reframer::lab
