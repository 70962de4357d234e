#pragma once

#include <string>
#include <vector>

namespace reframer::dpdk {

// Brings EAL up, with --no-pci unless `wanted` says otherwise: it would take the machine's own NIC.
// @throws lab::JobError
void start_eal(const std::vector<std::string> &wanted);

// Gives up root for good, for all threads: the ports are open, and nothing later needs it. Does nothing
// for who is not root, or where `user` is root.
// @throws lab::JobError if there is no such user or the change is refused
void drop_root(const std::string &user);

} // namespace reframer::dpdk
