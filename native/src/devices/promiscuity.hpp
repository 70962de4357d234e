// An interface of Linux that takes what is not addressed to it, for as long as somebody wants that.
#pragma once

#include "devices/bpf.hpp"

namespace reframer::engine {

// Until the descriptor is closed, or the process ends, however that happens: the interface's own flag,
// which would outlive both, stays as it is. None (-1) with errno where the kernel refuses.
FileDescriptor keep_promiscuous(unsigned interface_index);
// That flag, which somebody else has set.
bool is_promiscuous_anyway(unsigned interface_index);

} // namespace reframer::engine
