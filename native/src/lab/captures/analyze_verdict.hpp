// What the figures of job `analyze` mean to an operator, in words.
#pragma once

#include "lab/captures/flow_stats.hpp"

#include <string>
#include <vector>

namespace reframer::lab {

// Two to five sentences.
std::vector<std::string> verdict_of(const FlowStats &stats);

// A sentence when the capture is too short to fill the hold time at some rate, else "".
std::string too_short_for(const FlowStats &stats);

} // namespace reframer::lab
