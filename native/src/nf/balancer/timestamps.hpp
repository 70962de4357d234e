// The timestamp option of a TCP header (RFC 7323): kind 8, length 10, value, echo.
#pragma once

#include "nf/balancer/packet.hpp"

namespace reframer::balance {

struct Timestamps {
	uint8_t *value = nullptr; // null: there is no option
	uint8_t *echo() const { return value + 4; }
	explicit operator bool() const { return value != nullptr; }
};

// Option by option, from `options` up to `end`.
inline Timestamps walk_options(uint8_t *options, const uint8_t *end)
{
	constexpr uint8_t end_of_list = 0, no_operation = 1, timestamps = 8;
	for (uint8_t *at = options; at < end;) {
		if (*at == end_of_list)
			break;
		if (*at == no_operation) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			break;
		if (at[0] == timestamps && at[1] == 10)
			return {at + 2};
		at += at[1];
	}
	return {};
}

// Of a TCP segment at `tcp`. No option where the header is cut short or contradicts itself.
inline Timestamps find_timestamps(uint8_t *tcp, const uint8_t *end)
{
	const uint32_t header = (tcp[12] >> 4) * 4u;
	if (header < 32 || end - tcp < static_cast<std::ptrdiff_t>(header))
		return {};
	// As nearly every stack writes all but SYNs: NOP, NOP, option.
	if (load32(tcp + 20) == __builtin_bswap32(0x0101080a)) [[likely]]
		return {tcp + 24};
	return walk_options(tcp + 20, tcp + header);
}

} // namespace reframer::balance
