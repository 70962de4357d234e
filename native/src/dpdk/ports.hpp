// DPDK ports as the jobs use them: found by name, configured with what the driver offers, started.
#pragma once

#include "jobs/job.hpp"

#include <cstdint>
#include <string>

struct rte_mempool;

namespace reframer::dpdk {

// The error of a port: "not-supported" where the driver cannot do what was asked, else "port".
lab::JobError port_failure(const std::string &what, int error);
// @throws lab::JobError
uint16_t port_named(const std::string &name);
std::string port_name(uint16_t port);

struct PortUse {
	uint16_t nb_queues = 1;         // RX queues, and as many TX queues
	uint16_t nb_descriptors = 1024; // of a ring; what most drivers take. The driver may adjust it
};
// Configures and starts the port: RSS and the hash of each packet where the driver has them, frames in
// several segments, everything that arrives. @throws lab::JobError
void start_port(uint16_t port, const PortUse &use, rte_mempool *pool);
void close_port(uint16_t port);

struct PortCounts {
	uint64_t missed = 0;    // packets that the receive rings or their driver could not take
	uint64_t no_buffer = 0; // of them, for want of a buffer
	uint64_t sent = 0, bytes_sent = 0;
};
PortCounts port_counts(uint16_t port);

} // namespace reframer::dpdk
