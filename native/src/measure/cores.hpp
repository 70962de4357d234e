// Which core a thread runs on.
#pragma once

#include <pthread.h>

namespace reframer::engine {

// False where this process may not use that core.
bool pin(pthread_t thread, int core);

} // namespace reframer::engine
