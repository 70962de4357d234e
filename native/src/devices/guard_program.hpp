// An XDP program in front of AF_XDP sockets: deny, claim, pass. What is denied is dropped, what is claimed
// goes to the socket of its receive queue, the kernel keeps the rest. A claimed frame whose queue has no
// socket is the kernel's, too.
//
// Rules look at source and destination addresses, protocol and ports. Through up to two VLAN tags and
// IPv6 extension headers; a fragment has addresses and a protocol, but no ports, whichever one of its
// datagram it is. Frames that are neither IPv4 nor IPv6, or too short, are passed, or claimed where
// everything is.
#pragma once

#include "devices/bpf.hpp"

#include <cstdint>

namespace reframer::engine {

// Words of the maps `protocols`, and of prefixes by kind of protocol.
inline constexpr uint64_t guard_deny = 1, guard_claim = 2;
inline constexpr uint32_t guard_nb_protocols = 256;
// Words of the map `ports`: bits of `guard_deny` and `guard_claim`, for TCP, and shifted for UDP.
inline constexpr uint32_t guard_udp_shift = 2, guard_nb_ports = 65536;
// Words of a prefix: kinds of protocol that the rule is about.
inline constexpr uint64_t guard_tcp = 1, guard_udp = 2, guard_icmp = 4, guard_other = 8,
						  guard_any = 15;

// Keys of maps of prefixes, as the kernel has them: bits, then the address in network order.
struct GuardPrefix4 {
	uint32_t bits;
	uint8_t address[4];
};
struct GuardPrefix6 {
	uint32_t bits;
	uint8_t address[16];
};

// Frames by what became of them. One a receive queue.
struct GuardVerdicts {
	uint64_t denied_source;
	uint64_t denied_protocol;
	uint64_t denied_port;
	uint64_t claimed;
	uint64_t passed;
};

struct GuardMaps {
	int protocols, ports;
	int deny4, deny6;   // of sources
	int claim4, claim6; // of either end
	int verdicts;
	int sockets;        // XSKMAP
	uint32_t nb_queues; // power of two
	bool claim_all;     // what is not denied
};

FileDescriptor guard_program(const GuardMaps &maps); // @throws DeviceError

} // namespace reframer::engine
