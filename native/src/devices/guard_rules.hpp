// Rules of the box in words: which frames it denies, and which it claims.
//   rule    [NETWORK] [tcp | udp | icmp]   or   [tcp | udp] port N[-M]
//   NETWORK an address, or with its bits: 10.0.0.0/8, 2001:db8::/32; of a deny the source, of a claim
//           either end
// A port is either end's; without tcp or udp a rule about ports is about both.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace reframer::engine {

class RuleError : public std::runtime_error {
public:
	using std::runtime_error::runtime_error;
};

struct GuardNetwork {
	bool v6 = false;
	uint32_t bits = 0;
	std::array<uint8_t, 16> address = {}; // those behind `bits` are 0

	auto operator<=>(const GuardNetwork &) const = default;
	bool holds(const GuardNetwork &narrower) const;
};

struct GuardRule {
	std::optional<GuardNetwork> network;
	uint64_t kinds = 0; // guard_tcp, ...: what it is about
	bool ports = false;
	uint16_t first_port = 0, last_port = 0;
};

GuardRule parse_guard_rule(const std::string &text); // @throws RuleError

} // namespace reframer::engine
