// DPDK's environment in this process, for the tables of DPDK.
#pragma once

namespace reframer::conntrack {

// Starts it once, on huge pages if the machine has set some aside. False where it does not start.
bool start_eal();

} // namespace reframer::conntrack
