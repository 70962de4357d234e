// The Toeplitz hash of receive-side scaling (RSS), as NICs compute it.
#pragma once

#include "packet/flow_key.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace reframer::packet {

// Longest input: two IPv6 addresses and two ports.
inline constexpr size_t toeplitz_input_max = 36;
inline constexpr size_t toeplitz_key_size = 40;
static_assert(toeplitz_key_size >= toeplitz_input_max + 4, "a 32-bit window past the last bit");

using ToeplitzKey = std::array<uint8_t, toeplitz_key_size>;

// The key of Microsoft's RSS verification suite, many drivers' default.
extern const ToeplitzKey toeplitz_key_microsoft;
// 0x6d5a repeated: equal hashes for both directions (Woo and Park, "Scalable TCP Session Monitoring
// with Symmetric Receive-side Scaling", 2012).
extern const ToeplitzKey toeplitz_key_symmetric;

// Bit by bit, straight from the definition; what Toeplitz is tested against.
uint32_t toeplitz_reference(const ToeplitzKey &key, std::span<const uint8_t> input);

// One table lookup an input byte. 36 KiB, of which IPv4 uses 12: built once for each key.
class Toeplitz {
public:
	explicit Toeplitz(const ToeplitzKey &key);

	// The first toeplitz_input_max bytes count; NICs take no more.
	uint32_t operator()(std::span<const uint8_t> input) const
	{
		uint32_t hash = 0;
		const size_t size = input.size() < toeplitz_input_max ? input.size() : toeplitz_input_max;
		for (size_t i = 0; i < size; i++)
			hash ^= table[i][input[i]];
		return hash;
	}

	// As a NIC with TCP and UDP hashing on: addresses and ports, or addresses alone where there are
	// none (fragments, other protocols); 0 for what is not IP.
	uint32_t operator()(const FlowKey &key) const;

	// `addresses` point at source and destination in the IP header, `ports` into the L4 header.
	uint32_t ipv4(const uint8_t *addresses, const uint8_t *ports) const
	{
		uint32_t hash = 0;
		for (size_t i = 0; i < 8; i++)
			hash ^= table[i][addresses[i]];
		for (size_t i = 0; i < 4; i++)
			hash ^= table[8 + i][ports[i]];
		return hash;
	}

private:
	std::array<std::array<uint32_t, 256>, toeplitz_input_max> table;
};

} // namespace reframer::packet
