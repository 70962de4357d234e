// What the functions of a chain know of a packet: its key, where its headers are, its fate.
#pragma once

#include "nf/mbuf.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace reframer::nf {

enum Verdict : uint8_t {
	verdict_pass,
	verdict_not_ipv4,   // the chain is IPv4, as the original's is
	verdict_malformed,  // a header that is cut short or contradicts itself
	verdict_ttl,        // would leave with TTL 0
	verdict_denied,     // by a firewall rule
	verdict_table_full, // no room for another flow, or no port left
	nb_verdicts,
};

const char *verdict_name(uint8_t verdict);

// Not packet::FlowKey, which knows every kind of flow in 44 bytes: a chain's tables keep these 16.
// Addresses and ports as they lie in the packet, so that building it swaps nothing. `used` is 1 in
// every key: an all-zero table entry equals none.
struct Ipv4Tuple {
	uint32_t source, destination;
	uint16_t source_port, destination_port; // 0 without TCP or UDP, and in fragments
	uint8_t protocol;
	uint8_t used;
	uint16_t zero;

	friend bool operator==(const Ipv4Tuple &a, const Ipv4Tuple &b)
	{
		uint64_t x[2], y[2];
		std::memcpy(x, &a, sizeof(x));
		std::memcpy(y, &b, sizeof(y));
		return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
	}
};
static_assert(sizeof(Ipv4Tuple) == 16);
static_assert(offsetof(Ipv4Tuple, source_port) == 8 && offsetof(Ipv4Tuple, protocol) == 12 &&
              offsetof(Ipv4Tuple, used) == 13); // parse_headers() writes it as two words

enum Layer4 : uint8_t {
	layer4_other,
	layer4_tcp,
	layer4_udp,
	layer4_icmp_error, // quotes a packet: NAT translates the quoted one
	layer4_not_ipv4,   // has no key: for functions that read more than IPv4 themselves
};

struct alignas(64) Context {
	Mbuf *mbuf;
	Ipv4Tuple key;
	uint64_t hash;   // of the key; computed where a function needs it
	uint64_t digest; // what the connection table knows of the key
	uint16_t l3, l4; // offsets into the frame
	uint16_t next_hop;
	uint16_t prepared; // result of a lookup that was done for many packets at once
	uint8_t layer4;    // enum Layer4: where NAT may write
	uint8_t verdict;

	uint8_t *ip() const { return mbuf->data() + l3; }
	uint32_t destination_host() const { return __builtin_bswap32(key.destination); }
	bool has_ports() const { return layer4 == layer4_tcp || layer4 == layer4_udp; }
};
static_assert(sizeof(Context) == 64);

// Whether whatever a function finds out about one packet holds for the other. Packets that quote
// others are alike only in their own header.
inline bool same_flow(const Context &a, const Context &b)
{
	return a.key == b.key && a.layer4 == b.layer4 && a.layer4 < layer4_icmp_error;
}

inline uint16_t load16(const uint8_t *p)
{
	uint16_t v;
	std::memcpy(&v, p, sizeof(v));
	return v;
}

inline uint32_t load32(const uint8_t *p)
{
	uint32_t v;
	std::memcpy(&v, p, sizeof(v));
	return v;
}

inline void store16(uint8_t *p, uint16_t v)
{
	std::memcpy(p, &v, sizeof(v));
}
inline void store32(uint8_t *p, uint32_t v)
{
	std::memcpy(p, &v, sizeof(v));
}

// Reads Ethernet with up to two VLAN tags and IPv4. Not the suite's full parser: a chain that is
// timed must cost what such a chain costs, and this is all that the original's looks at.
inline uint8_t parse_headers(const uint8_t *frame, uint32_t captured, Context &c)
{
	uint32_t at = 12;
	if (captured < 14 + 20)
		return captured < 14 || load16(frame + at) == __builtin_bswap16(0x0800) ? verdict_malformed
		                                                                        : verdict_not_ipv4;
	for (int tags = 0; tags < 2; tags++) {
		uint16_t type = __builtin_bswap16(load16(frame + at));
		if (type != 0x8100 && type != 0x88a8)
			break;
		at += 4;
	}
	if (__builtin_bswap16(load16(frame + at)) != 0x0800)
		return verdict_not_ipv4;
	at += 2;
	if (captured < at + 20)
		return verdict_malformed;
	const uint8_t *ip = frame + at;
	uint32_t header = (ip[0] & 15u) * 4;
	if (ip[0] >> 4 != 4 || header < 20 || captured < at + header)
		return verdict_malformed;
	c.l3 = static_cast<uint16_t>(at);
	c.l4 = static_cast<uint16_t>(at + header);
	c.layer4 = layer4_other;
	c.next_hop = 0;
	// As two words: a key that was stored piece by piece cannot be forwarded to the loads that
	// compare and hash it.
	uint64_t words[2];
	std::memcpy(&words[0], ip + 12, 8);
	words[1] = uint64_t{ip[9]} << 32 | 1ull << 40;
	bool fragment = (load16(ip + 6) & __builtin_bswap16(0x3fff)) != 0;
	if (fragment || (ip[9] != 6 && ip[9] != 17)) {
		// Unreachable, quench, redirect, time exceeded, parameter problem.
		constexpr uint32_t error_types = 1u << 3 | 1u << 4 | 1u << 5 | 1u << 11 | 1u << 12;
		if (!fragment && ip[9] == 1 && captured >= c.l4 + 8u + 20u && frame[c.l4] < 32 &&
		    (error_types >> frame[c.l4] & 1))
			c.layer4 = layer4_icmp_error;
		std::memcpy(&c.key, words, sizeof(words));
		return verdict_pass;
	}
	if (captured < c.l4 + (ip[9] == 6 ? 20u : 8u))
		return verdict_malformed;
	c.layer4 = ip[9] == 6 ? layer4_tcp : layer4_udp;
	words[1] |= load32(frame + c.l4);
	std::memcpy(&c.key, words, sizeof(words));
	return verdict_pass;
}

} // namespace reframer::nf
