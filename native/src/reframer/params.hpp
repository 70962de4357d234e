// What struct reframer_params may hold, and what it holds by default.
#pragma once

#include "api/why.hpp"
#include "reframer/reframer.h"

namespace reframer::stage {

reframer_params default_params();
// The parameters of a caller of any version, checked, over the defaults.
bool take_params(const reframer_params *given, reframer_params &full, api::Why &why);

} // namespace reframer::stage
