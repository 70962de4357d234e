#include "nf/prefixes.hpp"

#include "nf/packet_functions.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace reframer::nf {

namespace {

uint32_t mask_of(uint32_t length)
{
	return length ? ~uint32_t{0} << (32 - length) : 0;
}

// Any unicast address: 1.0.0.0 to 223.255.255.255.
uint32_t draw_address(Random &random)
{
	return 0x01000000u + random.below(0xe0000000u - 0x01000000u);
}

} // namespace

std::vector<Prefix> make_routes(uint64_t seed)
{
	constexpr size_t nb_specific = 101;
	Random random{seed ^ 0x726f75746573}; // streams of routes and rules must differ
	std::set<std::pair<uint32_t, uint32_t>> seen;
	std::vector<Prefix> routes;
	while (routes.size() < nb_specific) {
		uint32_t mask = mask_of(8 + random.below(17));
		uint32_t value = draw_address(random) & mask;
		if (seen.emplace(value, mask).second)
			routes.push_back({value, mask, 0, false});
	}
	std::stable_sort(routes.begin(), routes.end(),
	                 [](const Prefix &a, const Prefix &b) { return a.mask > b.mask; });
	routes.push_back({0, mask_of(1), 0, false});
	routes.push_back({0x80000000u, mask_of(1), 0, false});
	for (size_t i = 0; i < routes.size(); i++)
		routes[i].result = static_cast<uint16_t>(i);
	return routes;
}

std::vector<Prefix> make_rules(uint32_t n, double deny_share, uint64_t seed)
{
	Random random{seed ^ 0x72756c6573};
	std::vector<Prefix> rules;
	rules.reserve(n + 1);
	for (uint32_t i = 0; i < n; i++) {
		double kind = random.unit();
		uint32_t length = kind < 0.5 ? 32 : kind < 0.83 ? 24 : 16 + random.below(16);
		uint32_t mask = mask_of(length);
		rules.push_back({draw_address(random) & mask, mask, static_cast<uint16_t>(i),
		                 random.unit() < deny_share});
	}
	rules.push_back({0, 0, static_cast<uint16_t>(n), false});
	return rules;
}

std::vector<paper::PacketRule> paper::make_packet_rules(uint32_t n, uint64_t seed)
{
	Random random{seed ^ 0x7061636b65747321};
	// FIN alone, URG with PSH and FIN, SYN with FIN, SYN with RST, all six: no connection has them.
	constexpr struct {
		uint8_t flags, mask;
	} odd[] = {{0x01, 0x3f}, {0x29, 0x3f}, {0x03, 0x03}, {0x06, 0x06}, {0x3f, 0x3f}, {0x28, 0x3f}};
	std::vector<PacketRule> rules;
	for (uint32_t i = 0; i < n; i++) {
		PacketRule r{};
		const uint32_t low = 20 + random.below(1480);
		r.shortest = static_cast<uint16_t>(low);
		r.longest = static_cast<uint16_t>(low + random.below(1501 - low));
		if (random.below(2) == 0) {
			const auto &o = odd[random.below(std::size(odd))];
			r.flags = o.flags;
			r.flags_mask = o.mask;
		} else {
			r.tos_mask = 0xfc; // DSCP
			r.tos = static_cast<uint8_t>((1 + random.below(63)) << 2);
		}
		rules.push_back(r);
	}
	return rules;
}

} // namespace reframer::nf
