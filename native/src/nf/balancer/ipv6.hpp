// The headers of IPv6 up to TCP, UDP or ICMPv6 (RFC 8200), of a frame and of what an error quotes.
#pragma once

#include "nf/checksum.hpp"
#include "nf/context.hpp"

namespace reframer::balance {

inline constexpr uint32_t v6_next_at = 6, v6_source_at = 8, v6_destination_at = 24, v6_size = 40;
inline constexpr uint8_t protocol_icmp6 = 58;

struct Ipv6Headers {
	uint8_t *l4;
	uint8_t protocol;
	bool fragment = false, later_fragment = false;
	uint32_t datagram = 0; // a fragment's number, as it lies there
};

// Returns an nf::Verdict; verdict_not_ipv4 where the packet is still on its way to another host, as a
// routing header says.
inline uint8_t read_ipv6(uint8_t *ip, const uint8_t *end, Ipv6Headers &h)
{
	enum : uint8_t { hop_by_hop = 0, routing = 43, fragment = 44, options = 60 };
	constexpr int most_extensions = 8;
	if (end - ip < v6_size || ip[0] >> 4 != 6)
		return nf::verdict_malformed;
	h.protocol = ip[v6_next_at];
	h.l4 = ip + v6_size;
	for (int i = 0; i <= most_extensions; i++) {
		const bool known = h.protocol == hop_by_hop || h.protocol == routing ||
		                   h.protocol == fragment || h.protocol == options;
		if (!known)
			return nf::verdict_pass;
		if (i == most_extensions || end - h.l4 < 8)
			return nf::verdict_malformed;
		const uint8_t *const at = h.l4;
		if (h.protocol == routing && at[3] != 0)
			return nf::verdict_not_ipv4;
		const uint32_t size = h.protocol == fragment ? 8 : (at[1] + 1u) * 8;
		if (static_cast<uint32_t>(end - at) < size)
			return nf::verdict_malformed;
		if (h.protocol == fragment) {
			const uint32_t place = static_cast<uint32_t>(at[2] << 8 | at[3]);
			h.fragment = (place & 0xfff9) != 0; // else an atomic one, which is whole (RFC 6946)
			h.later_fragment = (place & 0xfff8) != 0;
			h.datagram = nf::load32(at + 4);
		}
		h.protocol = at[0];
		h.l4 += size;
		if (h.later_fragment)
			return nf::verdict_pass;
	}
	return nf::verdict_malformed;
}

// What a change of 16 bytes adds to the complement of a sum.
inline uint32_t change128(const uint8_t *before, const uint8_t *after)
{
	uint32_t change = 0;
	for (uint32_t i = 0; i < 16; i += 4)
		change += nf::change32(nf::load32(before + i), nf::load32(after + i));
	return change;
}

} // namespace reframer::balance
