// Defaults and ranges of struct reframer_params.
#include "reframer/stage.hpp"

#include <cerrno>

namespace reframer::stage {

namespace {

constexpr uint32_t bypass_all = REFRAMER_BYPASS_SYN | REFRAMER_BYPASS_NEW_FLOW |
                                REFRAMER_BYPASS_DSCP_EF | REFRAMER_BYPASS_ECT1 |
                                REFRAMER_BYPASS_DNS;
constexpr uint32_t early_all = REFRAMER_EARLY_FIN | REFRAMER_EARLY_RST | REFRAMER_EARLY_PSH;
constexpr uint32_t options_all = REFRAMER_OPT_TCP_REPAIR | REFRAMER_OPT_ACK_THINNING;
constexpr uint32_t max_packets_least = 32, max_packets_most = 1u << 20;

} // namespace

int check_params(const reframer_params &p)
{
	if (p.size != sizeof p)
		return -EINVAL;
	if (p.policy > REFRAMER_ADAPTIVE || p.key > REFRAMER_KEY_INNER || p.link_type > UINT16_MAX)
		return -EINVAL;
	if (p.max_packets < max_packets_least || p.max_packets > max_packets_most || p.max_bytes == 0 ||
	    p.max_burst == 0 || p.delay_ns > REFRAMER_MAX_DELAY_NS || p.lookahead > max_lookahead)
		return -EINVAL;
	if (p.bypass & ~bypass_all || p.early & ~early_all || p.options & ~options_all)
		return -EINVAL;
	if (p.nb_rules > REFRAMER_MAX_RULES || (p.nb_rules && !p.rules))
		return -EINVAL;
	for (uint32_t i = 0; i < p.nb_rules; i++)
		if (!Rules::valid(p.rules[i]))
			return -EINVAL;
	return 0;
}

} // namespace reframer::stage

// Reasons for the values: at the fields in reframer.h.
extern "C" void reframer_default_params(struct reframer_params *params)
{
	*params = {};
	params->size = sizeof *params;
	params->policy = REFRAMER_FIXED;
	params->key = REFRAMER_KEY_5TUPLE;
	params->link_type = static_cast<uint32_t>(reframer::packet::LinkType::ethernet);
	params->max_packets = 4096;
	params->max_bytes = 8u << 20;
	params->delay_ns = 64'000;
	params->max_burst = 128;
	params->lookahead = 32;
}
