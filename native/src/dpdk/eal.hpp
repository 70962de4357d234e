#pragma once

#include <string>
#include <vector>

namespace reframer::dpdk {

// Brings EAL up, with --no-pci unless `wanted` says otherwise: it would take the machine's own NIC.
// @throws lab::JobError
void start_eal(const std::vector<std::string> &wanted);

} // namespace reframer::dpdk
