// Checks that the packets of each flow leave in the order in which they came.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace reframer::engine {

class OrderOfFlows {
public:
	// False when a later packet of the flow has left before. `number` rises with arrival.
	bool leaves(uint32_t flow, uint64_t number)
	{
		if (flow >= last_.size())
			last_.resize(std::max<size_t>(size_t{flow} + 1, last_.size() * 2));
		if (number + 1 <= last_[flow])
			return false;
		last_[flow] = number + 1;
		return true;
	}

private:
	std::vector<uint64_t> last_; // number + 1
};

} // namespace reframer::engine
