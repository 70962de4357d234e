#pragma once

#include "jobs/spec_reader.hpp"

#include <string>
#include <vector>

namespace reframer::lab {

// For words of which the list is known only at run time: refuses one that is not in it.
inline void check_known(const SpecReader &reader, const char *name, const std::string &given,
                        const std::vector<std::string> &known)
{
	std::string all;
	for (const std::string &word : known) {
		if (word == given)
			return;
		all += all.empty() ? word : ", " + word;
	}
	reader.fail(name, "does not know " + Json(given).dump() + ", only " + all);
}

} // namespace reframer::lab
