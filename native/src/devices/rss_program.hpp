// Receive-side scaling as an eBPF program: Toeplitz hash, a counter per bucket, a table of queues.
#pragma once

#include "devices/bpf.hpp"
#include "packet/toeplitz.hpp"

#include <cstdint>

namespace reframer::engine {

// Which protocols are hashed with their ports; addresses alone otherwise. Drivers differ for UDP.
struct HashedPorts {
	bool tcp4 = true, udp4 = true, tcp6 = true, udp6 = true;
};

// The tables of packet::Toeplitz for programs. @throws DeviceError
FileDescriptor toeplitz_map(const packet::ToeplitzKey &key);

struct RssMaps {
	int toeplitz;
	int counters;        // one word a bucket
	int table;           // one word a bucket: its queue. Unused by counting_program
	uint32_t nb_buckets; // power of two
};

// For TUNSETSTEERINGEBPF: counts and returns the queue. Frames that are neither IPv4 nor IPv6 are of
// hash 0, IPv6 extension headers and fragments are hashed by addresses: as packet::Toeplitz does.
FileDescriptor steering_program(const RssMaps &maps); // @throws DeviceError

// For XDP: counts and passes every frame on.
FileDescriptor counting_program(const RssMaps &maps,
                                const HashedPorts &ports); // @throws DeviceError

} // namespace reframer::engine
