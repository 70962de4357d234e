// What the balancer reads of a frame, and how it writes: every change of a word goes into the sums
// that cover it.
#pragma once

#include "nf/balancer/address.hpp"
#include "nf/balancer/ipv6.hpp"
#include "nf/checksum.hpp"
#include "nf/context.hpp"

namespace reframer::balance {

using nf::load16;
using nf::store16;
using nf::store32;

// What the flow table knows a connection by. Of IPv6 a keyed hash stands where the addresses are,
// Engine::read() says which.
using Key = nf::Ipv4Tuple;
inline constexpr uint8_t key_of_ipv4 = 1, key_of_ipv6 = 6, key_of_datagram = 2; // Key::used

// The client's side of a connection.
struct Client {
	Key key;
	Address address;
};

enum TcpFlags : uint8_t { tcp_fin = 0x01, tcp_syn = 0x02, tcp_rst = 0x04, tcp_ack = 0x10 };
enum class End : uint8_t { source, destination };

inline uint32_t address_at(End end, bool v6)
{
	return end == End::source ? v6 ? v6_source_at : 12 : v6 ? v6_destination_at : 16;
}

struct Packet {
	uint8_t *frame;
	uint8_t *ip, *l4;
	const uint8_t *end; // of what was captured
	Key key;            // ports too where a first fragment has them
	uint32_t datagram;  // number of a fragment's datagram, as it lies there
	uint8_t layer4;     // nf::Layer4
	bool v6;
	bool fragment, later_fragment;

	bool has_ports() const { return layer4 == nf::layer4_tcp || layer4 == nf::layer4_udp; }
	uint8_t tcp_flags() const { return l4[13]; }
	Address address(End which) const { return {ip + address_at(which, v6), v6}; }
};

// Of a packet to the service.
inline Client client_of(const Packet &p)
{
	return {p.key, p.address(End::source)};
}

// Ports of what is no later fragment. False where its header is cut short.
inline bool read_ports(Packet &p, uint8_t protocol)
{
	if (protocol != 6 && protocol != 17)
		return true;
	if (p.end - p.l4 < (protocol == 6 ? 20 : 8))
		return false;
	p.layer4 = protocol == 6 ? nf::layer4_tcp : nf::layer4_udp;
	p.key.source_port = load16(p.l4);
	p.key.destination_port = load16(p.l4 + 2);
	return true;
}

// Of a frame whose headers parse_headers() has read into `c`. Returns an nf::Verdict.
inline uint8_t read_packet(uint8_t *frame, uint32_t captured, Packet &p, const nf::Context &c)
{
	p.frame = frame;
	p.ip = frame + c.l3;
	p.l4 = frame + c.l4;
	p.end = frame + captured;
	p.key = c.key;
	p.layer4 = c.layer4;
	p.v6 = false;
	p.datagram = load16(p.ip + 4);
	const uint16_t place = load16(p.ip + 6) & __builtin_bswap16(0x3fff);
	p.fragment = place != 0;
	p.later_fragment = (place & __builtin_bswap16(0x1fff)) != 0;
	// The chains take fragments for packets without ports; the first one has them.
	if (p.fragment && !p.later_fragment && !read_ports(p, p.ip[9])) [[unlikely]]
		return nf::verdict_malformed;
	return nf::verdict_pass;
}

// Of a frame that is no IPv4: the same of IPv6, without addresses in the key.
inline uint8_t read_packet6(uint8_t *frame, uint32_t captured, Packet &p)
{
	const auto type = [&](uint32_t at) {
		return captured >= at + 2 ? __builtin_bswap16(load16(frame + at)) : uint16_t{0};
	};
	uint32_t at = 12;
	for (int tags = 0; tags < 2 && (type(at) == 0x8100 || type(at) == 0x88a8); tags++)
		at += 4;
	if (type(at) != 0x86dd)
		return nf::verdict_not_ipv4;
	p.frame = frame;
	p.ip = frame + at + 2;
	p.end = frame + captured;
	Ipv6Headers h;
	if (const uint8_t verdict = read_ipv6(p.ip, p.end, h); verdict != nf::verdict_pass)
		return verdict;
	p.l4 = h.l4;
	p.v6 = true;
	p.fragment = h.fragment;
	p.later_fragment = h.later_fragment;
	p.datagram = h.datagram;
	p.layer4 = nf::layer4_other;
	p.key = {};
	p.key.protocol = h.protocol;
	p.key.used = key_of_ipv6;
	if (p.later_fragment)
		return nf::verdict_pass;
	if (!read_ports(p, h.protocol))
		return nf::verdict_malformed;
	if (h.protocol == protocol_icmp6) {
		if (p.end - p.l4 < 4)
			return nf::verdict_malformed;
		// Routers and neighbours on this link look for one another: nobody else's business (RFC 4861).
		if (p.l4[0] >= 133 && p.l4[0] <= 137)
			return nf::verdict_not_ipv4;
		// Unreachable, too big, time exceeded, parameter problem.
		if (!p.fragment && p.l4[0] >= 1 && p.l4[0] <= 4 && p.end - p.l4 >= 8 + v6_size)
			p.layer4 = nf::layer4_icmp_error;
	}
	return nf::verdict_pass;
}

inline uint8_t read_packet(uint8_t *frame, uint32_t captured, Packet &p)
{
	nf::Context c;
	const uint8_t verdict = nf::parse_headers(frame, captured, c);
	if (verdict == nf::verdict_pass) [[likely]]
		return read_packet(frame, captured, p, c);
	return verdict == nf::verdict_not_ipv4 ? read_packet6(frame, captured, p) : verdict;
}

// Where the sum lies that covers the addresses, null where there is none.
inline uint8_t *sum_of(const Packet &p)
{
	if (p.layer4 == nf::layer4_tcp)
		return p.l4 + 16;
	if (p.layer4 == nf::layer4_udp)
		return load16(p.l4 + 6) != 0 ? p.l4 + 6 : nullptr;
	return p.v6 && p.key.protocol == protocol_icmp6 && !p.later_fragment ? p.l4 + 2 : nullptr;
}

inline void add_to_sum(uint8_t *sum, uint16_t change, bool udp)
{
	nf::update_checksum(sum, change);
	if (udp && load16(sum) == 0) // 0 would say that there is none
		store16(sum, 0xffff);
}

// Puts an address where one of its family lies. Returns what that adds to the complement of a sum.
inline uint32_t replace_address(uint8_t *at, Address address)
{
	const uint32_t change =
		address.v6 ? change128(at, address.bytes) : nf::change32(load32(at), address.v4());
	std::memcpy(at, address.bytes, address.size());
	return change;
}

// Another address of the packet's family; `more`: what else changes in the segment's sum.
inline void rewrite_address(const Packet &p, End end, Address address, uint32_t more = 0)
{
	const uint16_t change = nf::fold(replace_address(p.ip + address_at(end, p.v6), address));
	if (!p.v6)
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
