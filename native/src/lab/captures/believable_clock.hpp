// The capture's clock, as far as it can be believed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace reframer::lab {

// One packet whose time lies far ahead of its neighbours' must not end all connections, only its own.
class BelievableClock {
public:
	// `next_ns` is the time of the packet behind it, or of this one at the end.
	uint64_t operator()(uint64_t time_ns, uint64_t next_ns, uint64_t packet);
	// Of the last packet: what the call returned, or the time that stands alone.
	uint64_t seen() const { return seen_; }
	std::vector<std::string> warnings() const;

private:
	uint64_t now_ = 0, seen_ = 0, offset_ = 0;
	bool started_ = false;
	uint64_t leaps_ = 0, first_leap_ = 0, leap_ns_ = 0;
	uint64_t steps_back_ = 0, first_step_ = 0, step_ns_ = 0;
};

} // namespace reframer::lab
