// Ethernet addresses in specifications.
#pragma once

#include "jobs/spec_reader.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace reframer::lab {

// One that no job can do without.
inline void read_mac(SpecReader &in, const char *name, uint8_t mac[6])
{
	unsigned b[6];
	char rest;
	if (std::sscanf(in.needed(name).c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%c", b, b + 1, b + 2, b + 3,
	                b + 4, b + 5, &rest) != 6)
		in.fail(name, "must be six bytes, 02:00:00:00:00:01");
	std::copy(b, b + 6, mac);
}

} // namespace reframer::lab
