// The Internet checksum: complete, and updated when a field changes.
// Checksums are handled as the 16-bit value on the wire read in host order (be16).
#pragma once

#include "packet/bytes.hpp"

#include <cstddef>
#include <cstdint>

namespace reframer::packet {

// One's-complement sum of `size` bytes, not folded; an odd last byte is padded with zero. The sum
// does not depend on byte order (RFC 1071), so words are added in memory order. Only the last
// part of a sum that is continued may have an odd size.
inline uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t size)
{
	// 32-bit words into 64 bits: 2^32 of them cannot overflow.
	for (; size >= 4; data += 4, size -= 4)
		sum += load<uint32_t>(data);
	if (size >= 2) {
		sum += load<uint16_t>(data);
		data += 2;
		size -= 2;
	}
	if (size != 0)
		sum += data[0];
	return sum;
}

inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return static_cast<uint16_t>(sum);
}

inline uint16_t checksum(const uint8_t *data, size_t size)
{
	return swap16(static_cast<uint16_t>(~checksum_fold(checksum_add(0, data, size))));
}

// Over the header as it is, its checksum field included: 0 when that is right.
inline uint16_t checksum_ipv4(const uint8_t *ip)
{
	return checksum(ip, (ip[0] & 0x0f) * 4u);
}

// Of a TCP or UDP (or ICMPv6) segment with its pseudo-header; `ip` is the IPv4 or IPv6 header that
// carries the addresses, `size` the length of the L4 header and payload, all of it readable. The
// field in the segment counts as it stands: put 0 there to compute, leave it to verify (then 0 is
// right). A UDP sender puts 0xffff where 0 comes out (RFC 768): see checksum_udp_wire().
inline uint16_t checksum_l4(const uint8_t *ip, uint8_t protocol, const uint8_t *l4, uint32_t size)
{
	uint64_t sum = ip[0] >> 4 == 4 ? checksum_add(0, ip + 12, 8) : checksum_add(0, ip + 8, 32);
	sum += swap32(size);
	sum += swap16(protocol);
	return swap16(static_cast<uint16_t>(~checksum_fold(checksum_add(sum, l4, size))));
}

constexpr uint16_t checksum_udp_wire(uint16_t value)
{
	return value == 0 ? 0xffff : value;
}

// RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). A UDP checksum of 0 means "none" and must not be
// updated; an updated UDP checksum goes through checksum_udp_wire().
constexpr uint16_t checksum_update16(uint16_t old_checksum, uint16_t old_field, uint16_t new_field)
{
	uint32_t sum = static_cast<uint16_t>(~old_checksum);
	sum += static_cast<uint16_t>(~old_field);
	sum += new_field;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return static_cast<uint16_t>(~sum);
}

constexpr uint16_t checksum_update32(uint16_t old_checksum, uint32_t old_field, uint32_t new_field)
{
	uint32_t sum = static_cast<uint16_t>(~old_checksum);
	sum += static_cast<uint16_t>(~old_field);
	sum += static_cast<uint16_t>(~(old_field >> 16));
	sum += (new_field & 0xffff) + (new_field >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return static_cast<uint16_t>(~sum);
}

} // namespace reframer::packet
