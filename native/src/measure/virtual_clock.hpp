// Time that passes by what work really took, in nanoseconds, and not while the program is elsewhere:
// who measures the work leaves out of it what marks.hpp finds to be an interruption.
#pragma once

#include <algorithm>

namespace reframer::engine {

class VirtualClock {
public:
	explicit VirtualClock(double start_ns = 0) : now_ns_(start_ns) {}

	operator double() const { return now_ns_; }
	void spend(double ns) { now_ns_ += ns; }
	// Nothing to do before `ns`; a clock never goes back.
	void wait_until(double ns) { now_ns_ = std::max(now_ns_, ns); }

private:
	double now_ns_;
};

} // namespace reframer::engine
