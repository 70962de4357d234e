// DPDK ports as the jobs use them: found by name, configured with what the driver offers or what the
// user asked for, started. What the driver cannot do is refused, never left out in silence.
#pragma once

#include "devices/bpf.hpp"
#include "jobs/job.hpp"

#include <cstdint>
#include <string>
#include <vector>

struct rte_mempool;

namespace reframer::lab {
class SpecReader;
}

namespace reframer::dpdk {

// The error of a port: "not-supported" where the driver cannot do what was asked, else "port".
lab::JobError port_failure(const std::string &what, int error);
// @throws lab::JobError
uint16_t port_named(const std::string &name);
std::string port_name(uint16_t port);
// The NUMA node of the port's device; SOCKET_ID_ANY (-1) where it has none.
int port_socket(uint16_t port);

// What a user may ask of a port. Empty and 0: what the driver does by itself.
struct PortWish {
	std::string rss_key;                  // "microsoft", "symmetric", or hexadecimal digits
	std::vector<std::string> hash_fields; // words, see ports.cpp
	std::vector<std::string> offloads; // DPDK's names, "rss-hash", those of transmission "tx-..."
	uint32_t reta_size = 0;            // entries that the table must have
	uint16_t mtu = 0;
	bool promiscuous = true; // a box in the wire takes what is not addressed to it

	// "rssKey", "hashFields", "offloads", "retaSize", "mtu", "promiscuous".
	void read(lab::SpecReader &in);
};

struct PortUse {
	uint16_t nb_queues = 1;         // RX queues
	uint16_t nb_descriptors = 1024; // of a ring; what most drivers take. The driver may adjust it
	uint16_t nb_tx_queues = 0;      // 0: as many as RX queues
	PortWish wish = {};
};

// What came of it.
struct PortGrant {
	uint16_t nb_rx_descriptors = 0, nb_tx_descriptors = 0, mtu = 0;
	uint32_t reta_size = 0;
	bool promiscuous = false, nic_hash = false;
	bool hashes_ports = false; // of TCP and UDP over IPv4, beside the addresses
	lab::Json record;          // all of it, for the user
	// Of an interface of Linux, which is promiscuous as long as this is kept.
	engine::FileDescriptor promiscuity;
};

// Configures and starts the port: RSS and the hash of each packet where the driver has them, frames in
// several segments. Rings lie on the port's node. @throws lab::JobError
PortGrant start_port(uint16_t port, const PortUse &use, rte_mempool *pool);
void close_port(uint16_t port);

// Whether the driver hashes, tells the hash of each packet, and takes a key of the usual size.
bool takes_rss_key(uint16_t port);

// Buffers on the port's node, or anywhere where that has no room; large enough for the MTU.
// @throws lab::JobError
rte_mempool *make_port_pool(const char *name, uint32_t nb_buffers, uint16_t private_bytes,
                            uint16_t port, const PortWish &wish, const std::string &advice);

struct PortCounts {
	uint64_t missed = 0;    // packets that the receive rings or their driver could not take
	uint64_t no_buffer = 0; // of them, for want of a buffer
	uint64_t sent = 0, bytes_sent = 0;
};
PortCounts port_counts(uint16_t port);

} // namespace reframer::dpdk
