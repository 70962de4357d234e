// Rules of the box's firewall: the first that holds decides; where none does, the packet passes.
#pragma once

#include "dpdk/suite/flow_packet.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace reframer::dpdk {

// Prefixes are of IPv4: a rule that names one says nothing of IPv6, one for any address holds there, too.
struct FirewallRule {
	bool allow = false;
	uint8_t protocol = 0; // 0: any
	uint8_t source_bits = 0, destination_bits = 0;
	std::array<uint8_t, 4> source = {}, destination = {};
	uint16_t first_port = 0, last_port = 65535; // of the destination

	bool any_port() const { return first_port == 0 && last_port == 65535; }
};

class Firewall {
public:
	explicit Firewall(std::vector<FirewallRule> rules) : rules_(std::move(rules)) {}

	// Of an IP packet; `source`: its address, IPv4, as rules see it.
	bool allows(const FlowPacket &packet, const uint8_t *source) const
	{
		for (const FirewallRule &rule : rules_)
			if (holds(rule, packet, source))
				return rule.allow;
		return true;
	}

private:
	static bool holds(const FirewallRule &r, const FlowPacket &p, const uint8_t *source)
	{
		if (r.protocol != 0 && r.protocol != p.protocol)
			return false;
		if (p.version == 4 ? !in_prefix(source, r.source, r.source_bits) ||
		                         !in_prefix(p.destination(), r.destination, r.destination_bits)
		                   : r.source_bits > 0 || r.destination_bits > 0)
			return false;
		if (r.any_port())
			return true;
		// Ports that are not here may be the ones that are meant: such packets are refused where one of
		// them would be, and not allowed for the sake of another.
		if (p.hides_ports())
			return !r.allow;
		return p.has_ports && p.destination_port >= r.first_port &&
		       p.destination_port <= r.last_port;
	}

	static bool in_prefix(const uint8_t *address, const std::array<uint8_t, 4> &prefix,
	                      uint8_t bits)
	{
		for (uint32_t i = 0; i < 4 && bits > 0; i++) {
			const uint8_t n = std::min<uint8_t>(bits, 8), mask = uint8_t(0xff00 >> n);
			if ((address[i] ^ prefix[i]) & mask)
				return false;
			bits = uint8_t(bits - n);
		}
		return true;
	}

	std::vector<FirewallRule> rules_;
};

} // namespace reframer::dpdk
