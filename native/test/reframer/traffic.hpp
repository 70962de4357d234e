// Frames for the engine's tests: a few hundred flows, each in the variants that policies tell
// apart, and what the tests know of them without parsing.
#pragma once

#include "support/packet_builder.hpp"

#include <cstdint>
#include <vector>

namespace reframer::test {

enum Variant : uint32_t {
	variant_ack,
	variant_data,
	variant_syn,
	variant_fin,
	variant_rst,
	variant_push,
	variant_ef,
	variant_ect1,
	nb_variants,
};

struct FlowFacts {
	bool tcp;
	uint16_t source_port, destination_port;
	uint32_t source, destination; // host order
};

class Frames {
public:
	static constexpr uint32_t nb_flows = 512;

	Frames()
	{
		for (uint32_t flow = 0; flow < nb_flows; flow++)
			for (uint32_t variant = 0; variant < nb_variants; variant++)
				frames.push_back(build(flow, variant));
	}
	const Bytes &of(uint32_t flow, uint32_t variant) const
	{
		return frames[flow * nb_variants + variant];
	}

	static FlowFacts facts(uint32_t flow)
	{
		constexpr uint16_t ports[] = {80, 443, 53, 5000};
		// Every other flow is the reverse direction of the one before.
		const uint32_t pair = flow / 2;
		FlowFacts f = {pair % 5 != 0, static_cast<uint16_t>(1000 + pair), ports[pair % 4],
		               0x0a000000 + pair, 0x0a010000 + pair % 16};
		if (flow % 2) {
			std::swap(f.source_port, f.destination_port);
			std::swap(f.source, f.destination);
		}
		return f;
	}

private:
	static std::string text(uint32_t a)
	{
		return std::to_string(a >> 24) + '.' + std::to_string(a >> 16 & 255) + '.' +
		       std::to_string(a >> 8 & 255) + '.' + std::to_string(a & 255);
	}

	static Bytes build(uint32_t flow, uint32_t variant)
	{
		constexpr uint16_t flags[nb_variants] = {0x10, 0x10, 0x02, 0x11, 0x04, 0x18, 0x10, 0x10};
		const FlowFacts f = facts(flow);
		Ip ip;
		ip.source = text(f.source);
		ip.destination = text(f.destination);
		ip.tos = variant == variant_ef ? 46 << 2 : variant == variant_ect1 ? 1 : 0;
		const Bytes payload(variant == variant_data || variant == variant_push ? 100 : 0, 'x');
		if (!f.tcp) {
			Udp udp_header;
			udp_header.source = f.source_port;
			udp_header.destination = f.destination_port;
			udp_header.payload = payload;
			return ethernet(type_ipv4, ipv4(ip, udp(udp_header)));
		}
		Tcp tcp_header;
		tcp_header.source = f.source_port;
		tcp_header.destination = f.destination_port;
		tcp_header.flags = flags[variant];
		tcp_header.payload = payload;
		return ethernet(type_ipv4, ipv4(ip, tcp(tcp_header)));
	}

	std::vector<Bytes> frames;
};

} // namespace reframer::test
