// Endpoints for source NAT that keep a flow's bucket: what comes back to one has an RSS hash of the
// same low bits as the flow, so both directions reach the same core, wherever the bucket is.
//
// Toeplitz hashes are linear: the hash of the reply is that of its other fields, exclusive-or what its
// destination port adds. So the ports that give a wanted bucket are a list known beforehand.
#pragma once

#include "packet/toeplitz.hpp"

#include <cstdint>
#include <vector>

namespace reframer::dpdk {

class NatPorts {
public:
	static constexpr uint32_t first_port = 1024; // the ones below are of services

	// The `share`-th of `nb_shares` parts of all ports: of cores that have no buckets to tell their
	// flows apart by, each has one.
	explicit NatPorts(uint32_t nb_buckets, uint32_t share = 0, uint32_t nb_shares = 1)
		: mask_(nb_buckets - 1), by_bits_(nb_buckets)
	{
		const packet::Toeplitz toeplitz(packet::toeplitz_key_symmetric);
		for (uint32_t port = first_port + share; port < 65536; port += nb_shares)
			by_bits_[bits_of(toeplitz, uint16_t(port))].push_back(uint16_t(port));
	}

	// Ports, host order, that turn a reply of hash `without_port` (its destination port 0) into `bucket`.
	const std::vector<uint16_t> &that_lead_to(uint32_t bucket, uint32_t without_port) const
	{
		return by_bits_[(bucket ^ without_port) & mask_];
	}

private:
	uint32_t bits_of(const packet::Toeplitz &toeplitz, uint16_t port) const
	{
		const uint8_t addresses[8] = {};
		const uint8_t ports[4] = {0, 0, uint8_t(port >> 8), uint8_t(port)};
		return toeplitz.ipv4(addresses, ports) & mask_;
	}

	const uint32_t mask_;
	std::vector<std::vector<uint16_t>> by_bits_;
};

} // namespace reframer::dpdk
