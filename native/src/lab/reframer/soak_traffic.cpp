#include "lab/reframer/soak_traffic.hpp"

#include "packet/bytes.hpp"

#include <bit>
#include <cstring>

namespace reframer::lab {

namespace {

using packet::put_be16;
using packet::put_be32;

// Kind 0 is data; the others are what policies look for. Three pure ACKs, each covering the last.
enum Kind : uint32_t { data_packet, syn, fin, push_flag, ack, later_ack, last_ack, expedited };

SoakFrame make(uint32_t flow, uint32_t kind, bool tagged)
{
	SoakFrame f = {};
	uint8_t *b = f.storage.data();
	uint32_t l3 = 14;
	if (flow % 97 == 96) { // frames of no protocol that anybody parses
		put_be16(b + 12, 0x88b5);
		put_be32(b + 14, flow);
		f.captured = f.wire = 60;
		return f;
	}
	if (tagged) {
		put_be16(b + 12, 0x8100);
		put_be16(b + 14, flow & 0xfff);
		put_be16(b + 16, 0x0800);
		l3 = 18;
	} else {
		put_be16(b + 12, 0x0800);
	}
	const bool udp = flow % 5 == 4;
	const bool pure = kind == ack || kind == later_ack || kind == last_ack;
	const uint32_t payload = pure || kind == syn || kind == fin ? 0 : 200 + flow % 1000;
	uint8_t *ip = b + l3;
	ip[0] = 0x45;
	ip[1] = kind == expedited ? 46 << 2 : uint8_t(flow % 3 == 0);
	put_be16(ip + 2, 20 + (udp ? 8 : 20) + payload);
	ip[8] = 64;
	ip[9] = udp ? 17 : 6;
	put_be32(ip + 12, 0x0a000000 + flow);
	put_be32(ip + 16, 0x0b000000 + flow % 61);
	uint8_t *l4 = ip + 20;
	put_be16(l4, 1024 + flow % 50000);
	put_be16(l4 + 2, flow % 7 == 0 ? 53 : 443);
	if (!udp) {
		put_be32(l4 + 4, flow * 1000);
		put_be32(l4 + 8, flow * 77 + kind);
		l4[12] = 0x50;
		constexpr uint8_t flags[] = {0x10, 0x02, 0x11, 0x18, 0x10, 0x10, 0x10, 0x10};
		l4[13] = flags[kind];
		put_be16(l4 + 14, 0xffff);
	} else {
		put_be16(l4 + 4, 8 + payload);
	}
	f.captured = l3 + 20 + (udp ? 8 : 20);
	f.wire = std::max(60u, f.captured + payload);
	return f;
}

} // namespace

SoakTraffic::SoakTraffic(SoakRandom &random)
{
	nb_flows = 1 + random.log_below(20'000);
	busy_flows = 1 + random.below(nb_flows);
	hash_classes = random.one_in(4) ? 1 + random.below(nb_flows) : nb_flows;
	const bool tagged = random.one_in(4);
	frames.reserve(size_t(nb_flows) * kinds);
	for (uint32_t flow = 0; flow < nb_flows; flow++) {
		for (uint32_t kind = 0; kind < kinds; kind++)
			frames.push_back(make(flow, kind, tagged));
	}
	for (SoakFrame &f : frames)
		f.bytes = f.storage.data();
	if (random.one_in(3)) {
		for (uint32_t n = 1 + random.below(4); n > 0; n--) {
			reframer_rule rule = {};
			rule.protocol = random.one_in(2) ? 17 : 0;
			rule.port_low = uint16_t(random.below(2000));
			rule.port_high = uint16_t(rule.port_low + random.below(1000));
			rule.delay_ns = random.one_in(2) ? 0 : random.log_below(500'000);
			rules.push_back(rule);
			longest_rule_delay = std::max(longest_rule_delay, rule.delay_ns);
		}
	}
}

reframer_params random_params(SoakRandom &random, const SoakTraffic &traffic)
{
	reframer_params p;
	reframer_default_params(&p);
	p.policy = random.below(3);
	p.key = random.below(4);
	p.max_packets = 32 + random.log_below(8192);
	p.max_bytes = 2048 + random.log_below(1 << 24);
	p.delay_ns = random.log_below(300'000);
	p.max_burst = 1 + random.log_below(512);
	p.bypass = random.one_in(2) ? 0 : random.below(32);
	p.early = random.one_in(2) ? 0 : random.below(8);
	p.options = random.one_in(2) ? 0 : random.below(4);
	p.hash_seed = random.next() | 1;
	p.rules = traffic.rules.empty() ? nullptr : traffic.rules.data();
	p.nb_rules = uint32_t(traffic.rules.size());
	p.lookahead = random.below(129);
	return p;
}

} // namespace reframer::lab
