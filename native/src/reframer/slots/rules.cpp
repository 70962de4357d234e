#include "reframer/slots/rules.hpp"

#include "packet/flow_key.hpp"
#include "packet/parse.hpp"

#include <cstring>

namespace reframer::stage {

namespace {

bool in_prefix(const uint8_t *address, const uint8_t *prefix, uint32_t length)
{
	const uint32_t bytes = length / 8, bits = length % 8;
	if (std::memcmp(address, prefix, bytes) != 0)
		return false;
	return bits == 0 || ((address[bytes] ^ prefix[bytes]) >> (8 - bits)) == 0;
}

bool in_range(uint16_t port, const reframer_rule &rule)
{
	return port >= rule.port_low && port <= rule.port_high;
}

} // namespace

void Rules::add(const reframer_rule &rule, uint8_t fifo)
{
	rules_[nb_] = rule;
	fifos_[nb_++] = fifo;
}

Verdict Rules::match(const uint8_t *data, uint32_t captured, uint32_t wire, packet::LinkType link,
                     packet::KeyKind key) const
{
	const auto depth =
		key == packet::KeyKind::inner ? packet::Depth::innermost : packet::Depth::outer;
	const packet::Headers h = packet::parse(data, captured, wire, link, depth);
	if (h.version == 0)
		return {Verdict::no_rule};
	const packet::FlowKey flow = packet::five_tuple_of(h, data);
	const bool ports = h.flags & packet::header_ports;
	for (uint32_t i = 0; i < nb_; i++) {
		const reframer_rule &rule = rules_[i];
		if (rule.ip_version && rule.ip_version != h.version)
			continue;
		if (rule.prefix_length &&
		    !in_prefix(flow.source.data(), rule.address, rule.prefix_length) &&
		    !in_prefix(flow.destination.data(), rule.address, rule.prefix_length))
			continue;
		if (rule.protocol && rule.protocol != h.protocol)
			continue;
		if (rule.dscp_plus_one && rule.dscp_plus_one != h.dscp + 1)
			continue;
		if (rule.port_high &&
		    !(ports && (in_range(h.source_port, rule) || in_range(h.destination_port, rule))))
			continue;
		return {rule.delay_ns ? Verdict::wait : Verdict::pass, fifos_[i]};
	}
	return {Verdict::no_rule};
}

} // namespace reframer::stage
