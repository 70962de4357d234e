// Where the stage's runs start, of the packets that a chain works on together.
#pragma once

#include "reframer/reframer.h"

#include <algorithm>
#include <cstdint>
#include <span>

namespace reframer::nf {

// A mark a packet rather than a walk over runs: where a run ends cannot be predicted, so nothing
// branches on it but this loop over the marks.
template <uint32_t chunk> class RunStarts {
public:
	explicit RunStarts(std::span<const reframer_run> runs)
		: next_(runs.begin()), end_(runs.end()),
		  behind_(runs.empty() ? 0 : runs.back().first + runs.back().count)
	{
	}

	// The next `n` packets, of which `at` is the first.
	void advance(uint32_t at, uint32_t n)
	{
		std::fill_n(marks_, n, uint8_t{0});
		for (; next_ != end_ && next_->first < at + n; next_++)
			marks_[next_->first - at] = 1;
		if (behind_ - at < n)
			marks_[behind_ - at] = 1;
	}
	// 1: a run starts with packet `i` of these.
	uint32_t operator[](uint32_t i) const { return marks_[i]; }

private:
	std::span<const reframer_run>::iterator next_, end_;
	uint32_t behind_; // the last run
	uint8_t marks_[chunk];
};

} // namespace reframer::nf
