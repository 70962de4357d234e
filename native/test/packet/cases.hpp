// Frames of every kind that the parser knows, with the keys that they must give.
#pragma once

#include "packet/frame.hpp"
#include "support/packet_builder.hpp"

#include <string>
#include <vector>

namespace reframer::test {

struct Case {
	std::string name;
	packet::LinkType link;
	Bytes frame;
	std::string outer; // to_string() of the key
	std::string inner; // the same in KeyKind::inner; empty: as outer
};

std::vector<Case> all_cases();

} // namespace reframer::test
