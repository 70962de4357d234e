// How many receive queues an interface has.
#pragma once

#include <cstdint>
#include <string>

namespace reframer::engine {

// 1 to `most`; 1 also of an interface that is not there.
uint32_t receive_queues(const std::string &interface, uint32_t most);

} // namespace reframer::engine
