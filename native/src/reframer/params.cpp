// Defaults and ranges of struct reframer_params.
#include "reframer/params.hpp"

#include "api/sized.hpp"
#include "packet/frame.hpp"
#include "reframer/stage.hpp"

namespace reframer::stage {

namespace {

constexpr uint32_t bypass_all = REFRAMER_BYPASS_SYN | REFRAMER_BYPASS_NEW_FLOW |
                                REFRAMER_BYPASS_DSCP_EF | REFRAMER_BYPASS_ECT1 |
                                REFRAMER_BYPASS_DNS;
constexpr uint32_t early_all = REFRAMER_EARLY_FIN | REFRAMER_EARLY_RST | REFRAMER_EARLY_PSH;
constexpr uint32_t options_all = REFRAMER_OPT_TCP_REPAIR | REFRAMER_OPT_ACK_THINNING;
constexpr uint32_t max_packets_least = 32, max_packets_most = 1u << 20;

bool right_rule(const reframer_rule &rule, uint32_t index, api::Why &why)
{
	char name[48];
	const auto within = [&](const char *member, uint64_t value, uint64_t low, uint64_t high) {
		std::snprintf(name, sizeof name, "rules[%u].%s", index, member);
		return why.within(name, value, low, high);
	};
	if (rule.ip_version != 0 && rule.ip_version != 4 && rule.ip_version != 6)
		return why.no("rules[%u].ip_version is %u, must be 0, 4 or 6", index, rule.ip_version);
	// A prefix says nothing without the version whose address it is.
	const uint64_t longest = rule.ip_version == 0 ? 0 : rule.ip_version == 4 ? 32 : 128;
	return within("prefix_length", rule.prefix_length, 0, longest) &&
	       within("dscp_plus_one", rule.dscp_plus_one, 0, 64) &&
	       within("port_high", rule.port_high, rule.port_low, UINT16_MAX) &&
	       within("delay_ns", rule.delay_ns, 0, REFRAMER_MAX_DELAY_NS);
}

bool right(const reframer_params &p, api::Why &why)
{
	const bool members =
		why.within("policy", p.policy, 0, REFRAMER_ADAPTIVE) &&
		why.within("key", p.key, 0, REFRAMER_KEY_INNER) &&
		why.within("link_type", p.link_type, 0, UINT16_MAX) &&
		why.within("max_packets", p.max_packets, max_packets_least, max_packets_most) &&
		why.within("max_bytes", p.max_bytes, 1, UINT64_MAX) &&
		why.within("delay_ns", p.delay_ns, 0, REFRAMER_MAX_DELAY_NS) &&
		why.within("max_burst", p.max_burst, 1, UINT32_MAX) &&
		why.bits("bypass", p.bypass, bypass_all) && why.bits("early", p.early, early_all) &&
		why.bits("options", p.options, options_all) &&
		why.within("nb_rules", p.nb_rules, 0, REFRAMER_MAX_RULES) &&
		(p.nb_rules == 0 || why.given("rules", p.rules)) &&
		why.within("lookahead", p.lookahead, 0, max_lookahead);
	if (!members)
		return false;
	for (uint32_t i = 0; i < p.nb_rules; i++)
		if (!right_rule(p.rules[i], i, why))
			return false;
	return true;
}

} // namespace

// Reasons for the values: at the members in reframer.h.
reframer_params default_params()
{
	reframer_params params = {};
	params.size = sizeof params;
	params.policy = REFRAMER_FIXED;
	params.key = REFRAMER_KEY_5TUPLE;
	params.link_type = static_cast<uint32_t>(packet::LinkType::ethernet);
	params.max_packets = 4096;
	params.max_bytes = 8u << 20;
	params.delay_ns = 64'000;
	params.max_burst = 128;
	params.lookahead = 32;
	return params;
}

bool take_params(const reframer_params *given, reframer_params &full, api::Why &why)
{
	if (!why.given("params", given))
		return false;
	full = default_params();
	if (!api::read_params(*given, full))
		return why.size(given->size, sizeof full);
	return right(full, why);
}

} // namespace reframer::stage

using namespace reframer;

extern "C" void reframer_params_init(struct reframer_params *params, size_t size)
{
	if (!params)
		return;
	reframer_params full = stage::default_params();
	full.size = size;
	api::write_sized(params, size, full);
}

extern "C" int reframer_check(const struct reframer_params *params, char *why, size_t n)
{
	api::Why reason(why, n);
	reframer_params full;
	return api::result(stage::take_params(params, full, reason));
}
