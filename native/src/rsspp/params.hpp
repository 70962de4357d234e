// What the parameters of balancer and hand-over may hold, and what they hold by default.
#pragma once

#include "api/why.hpp"
#include "reframer/rsspp.h"

namespace reframer::rsspp {

// The parameters of a caller of any version, checked, over the defaults.
bool take_params(const rsspp_balancer_params *given, rsspp_balancer_params &full, api::Why &why);
bool take_params(const rsspp_handover_params *given, rsspp_handover_params &full, api::Why &why);

} // namespace reframer::rsspp
