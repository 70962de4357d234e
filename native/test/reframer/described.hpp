// What the model must know of a packet, from what was built and not from what was parsed.
#pragma once

#include "model.hpp"
#include "traffic.hpp"

#include "packet/classify.hpp"

#include <span>

namespace reframer::test {

inline const Frames &frames()
{
	static const Frames all;
	return all;
}

inline bool matches(const reframer_rule &rule, const FlowFacts &f, uint32_t variant)
{
	if (rule.dscp_plus_one && variant != variant_ef)
		return false;
	if (rule.port_high && f.source_port != rule.port_low && f.destination_port != rule.port_low)
		return false;
	if (rule.protocol && f.tcp)
		return false;
	return !rule.prefix_length || f.source >> 4 == 0x0a00000 || f.destination >> 4 == 0x0a00000;
}

inline ModelPacket describe(const reframer_params &params, uint64_t id, uint32_t flow,
                            uint32_t variant, const Bytes &frame)
{
	const FlowFacts f = Frames::facts(flow);
	ModelPacket m = {id, 0, static_cast<uint32_t>(frame.size())};
	m.hash = packet::classify(frame.data(), m.wire, packet::LinkType::ethernet,
	                          static_cast<packet::KeyKind>(params.key), params.hash_seed)
	             .hash;
	for (const reframer_rule &rule : std::span(params.rules, params.nb_rules))
		if (matches(rule, f, variant)) {
			m.ruled = true;
			m.pass = rule.delay_ns == 0;
			m.class_delay = rule.delay_ns;
			break;
		}
	const bool dns = f.source_port == 53 || f.destination_port == 53;
	if (!m.ruled)
		m.pass = (params.bypass & REFRAMER_BYPASS_SYN && f.tcp && variant == variant_syn) ||
		         (params.bypass & REFRAMER_BYPASS_DSCP_EF && variant == variant_ef) ||
		         (params.bypass & REFRAMER_BYPASS_ECT1 && variant == variant_ect1) ||
		         (params.bypass & REFRAMER_BYPASS_DNS && dns);
	m.ends = f.tcp && ((params.early & REFRAMER_EARLY_FIN && variant == variant_fin) ||
	                   (params.early & REFRAMER_EARLY_RST && variant == variant_rst) ||
	                   (params.early & REFRAMER_EARLY_PSH && variant == variant_push));
	return m;
}

} // namespace reframer::test
