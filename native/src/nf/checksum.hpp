// Internet checksum, changed in place (RFC 1624, equation 3). One's complement sums do not depend
// on byte order, so everything stays as it lies in the packet.
#pragma once

#include "nf/context.hpp"

#include <cstdint>

namespace reframer::nf {

inline uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return static_cast<uint16_t>(sum + (sum >> 16));
}

// What a change of a 16- or 32-bit word adds to the complement of a checksum.
inline uint32_t change16(uint16_t before, uint16_t after)
{
	return static_cast<uint16_t>(~before) + uint32_t{after};
}

inline uint32_t change32(uint32_t before, uint32_t after)
{
	return change16(static_cast<uint16_t>(before), static_cast<uint16_t>(after)) +
	       change16(static_cast<uint16_t>(before >> 16), static_cast<uint16_t>(after >> 16));
}

inline void update_checksum(uint8_t *field, uint16_t change)
{
	uint32_t sum = static_cast<uint16_t>(~load16(field)) + uint32_t{change};
	store16(field, static_cast<uint16_t>(~fold(sum)));
}

// The same of TCP or UDP. `udp` is all ones where it is UDP: 0 says that the sender computed none,
// and nothing else may become 0. By masks: whether the next packet is UDP cannot be predicted.
inline void update_l4_checksum(uint8_t *field, uint16_t change, uint16_t udp)
{
	const uint16_t before = load16(field);
	uint32_t after =
		static_cast<uint16_t>(~fold(static_cast<uint16_t>(~before) + uint32_t{change}));
	after |= -uint32_t{after == 0} & udp;
	after &= ~(-uint32_t{before == 0} & udp);
	store16(field, static_cast<uint16_t>(after));
}

} // namespace reframer::nf
