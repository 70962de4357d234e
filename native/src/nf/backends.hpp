// Servers behind a load balancer, and which of them a new connection goes to.
#pragma once

#include "nf/nat.hpp"

#include <cstdint>
#include <vector>

namespace reframer::nf {

// Consistent hashing as Maglev has it (NSDI'16, section 3.4): each server fills the table in an
// order of its own, taking turns, so that all get an equal share and few entries change with a server.
class Backends {
public:
	// A prime well above a hundred times the servers keeps the shares within a percent.
	static constexpr uint32_t table_size = 65537;
	static constexpr uint32_t max_servers = 256;

	// `servers` of 1 to 256, at 198.19.0.0 and up (RFC 2544's network for benchmarks).
	Backends(uint32_t servers, uint64_t seed);

	uint16_t choose(uint64_t hash) const { return table_[(hash >> 32) * table_size >> 32]; }
	uint32_t address(uint32_t server) const { return __builtin_bswap32(first_address + server); }
	// The server at this address (network order); size() where there is none.
	uint32_t at_address(uint32_t address) const
	{
		uint32_t server = __builtin_bswap32(address) - first_address;
		return server < size_ ? server : size_;
	}
	uint32_t size() const { return size_; }

private:
	static constexpr uint32_t first_address = 0xc6130000u;
	uint32_t size_;
	std::vector<uint16_t> table_;
};

} // namespace reframer::nf
