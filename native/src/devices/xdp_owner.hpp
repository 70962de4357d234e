// Whose XDP program is on an interface.
#pragma once

#include "devices/bpf.hpp"

namespace reframer::engine {

// The map of AF_XDP sockets by receive queue (XSKMAP) of the program that a driver attached for them,
// which then is taken off the interface: the sockets stay. @throws DeviceError when there is none
FileDescriptor take_over_sockets(unsigned interface_index);

} // namespace reframer::engine
