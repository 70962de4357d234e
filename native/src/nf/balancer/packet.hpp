// What the balancer reads of a frame, and how it writes: every change of a word goes into the sums
// that cover it.
#pragma once

#include "nf/checksum.hpp"
#include "nf/context.hpp"

namespace reframer::balance {

using nf::load16;
using nf::load32;
using nf::store16;
using nf::store32;

inline constexpr uint32_t source_at = 12, destination_at = 16; // in the IPv4 header

enum TcpFlags : uint8_t { tcp_fin = 0x01, tcp_syn = 0x02, tcp_rst = 0x04, tcp_ack = 0x10 };

struct Packet {
	uint8_t *frame;
	uint8_t *ip, *l4;
	const uint8_t *end; // of what was captured
	nf::Ipv4Tuple key;  // ports too where a first fragment has them
	uint8_t layer4;     // nf::Layer4
	bool fragment, later_fragment;

	bool has_ports() const { return layer4 == nf::layer4_tcp || layer4 == nf::layer4_udp; }
	uint8_t tcp_flags() const { return l4[13]; }
};

// Of a frame whose headers parse_headers() has read into `c`. Returns an nf::Verdict.
inline uint8_t read_packet(uint8_t *frame, uint32_t captured, Packet &p, const nf::Context &c)
{
	p.frame = frame;
	p.ip = frame + c.l3;
	p.l4 = frame + c.l4;
	p.end = frame + captured;
	p.key = c.key;
	p.layer4 = c.layer4;
	const uint16_t place = load16(p.ip + 6) & __builtin_bswap16(0x3fff);
	p.fragment = place != 0;
	p.later_fragment = (place & __builtin_bswap16(0x1fff)) != 0;
	if (p.fragment && !p.later_fragment && (p.ip[9] == 6 || p.ip[9] == 17)) [[unlikely]] {
		// The chains take fragments for packets without ports; the first one has them.
		if (p.l4 + (p.ip[9] == 6 ? 20 : 8) > p.end)
			return nf::verdict_malformed;
		p.layer4 = p.ip[9] == 6 ? nf::layer4_tcp : nf::layer4_udp;
		p.key.source_port = load16(p.l4);
		p.key.destination_port = load16(p.l4 + 2);
	}
	return nf::verdict_pass;
}

inline uint8_t read_packet(uint8_t *frame, uint32_t captured, Packet &p)
{
	nf::Context c;
	const uint8_t verdict = nf::parse_headers(frame, captured, c);
	return verdict == nf::verdict_pass ? read_packet(frame, captured, p, c) : verdict;
}

// Where the sum of a segment lies, null where it has none that covers addresses.
inline uint8_t *sum_of(const Packet &p)
{
	if (p.layer4 == nf::layer4_tcp)
		return p.l4 + 16;
	return p.layer4 == nf::layer4_udp && load16(p.l4 + 6) != 0 ? p.l4 + 6 : nullptr;
}

inline void add_to_sum(uint8_t *sum, uint16_t change, bool udp)
{
	nf::update_checksum(sum, change);
	if (udp && load16(sum) == 0) // 0 would say that there is none
		store16(sum, 0xffff);
}

// Another address at `field` of the IP header; `more`: what else changes in the segment's sum.
inline void rewrite_address(const Packet &p, uint32_t field, uint32_t address, uint32_t more = 0)
{
	const uint16_t change = nf::fold(nf::change32(load32(p.ip + field), address));
	store32(p.ip + field, address);
	nf::update_checksum(p.ip + 10, change);
	if (uint8_t *sum = sum_of(p))
		add_to_sum(sum, nf::fold(more + change), p.layer4 == nf::layer4_udp);
}

// A 32-bit number, network order in the packet, that may lie across the words of a sum. Returns what
// the change adds to the complement of a sum over `base`.
inline uint32_t replace32(uint8_t *base, uint8_t *at, uint32_t value)
{
	const uint32_t before = load32(at), after = __builtin_bswap32(value);
	store32(at, after);
	const uint32_t change = nf::change32(before, after);
	// One's complement: a number that starts at the odd byte adds its bytes swapped.
	return (at - base) % 2 ? __builtin_bswap16(nf::fold(change)) : change;
}

inline uint32_t load_be32(const uint8_t *p)
{
	return __builtin_bswap32(load32(p));
}

} // namespace reframer::balance
