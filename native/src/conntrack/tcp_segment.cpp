#include "conntrack/tcp_segment.hpp"

#include "packet/bytes.hpp"

#include <algorithm>

namespace reframer::conntrack {

namespace {

constexpr uint32_t header_size = 20;
constexpr uint8_t most_scale = 14; // RFC 7323, 2.3

void read_options(const uint8_t *at, const uint8_t *until, TcpSegment &s)
{
	constexpr uint8_t end_of_list = 0, nop = 1, window_scale = 3, sack_permitted = 4, sack = 5;
	while (at < until && *at != end_of_list) {
		if (*at == nop) {
			at++;
			continue;
		}
		if (until - at < 2 || at[1] < 2 || at[1] > until - at)
			return;
		const uint8_t kind = at[0], size = at[1];
		if (kind == window_scale && size == 3) {
			s.has_scale = true;
			s.scale = std::min(at[2], most_scale);
		} else if (kind == sack_permitted && size == 2) {
			s.sack_permitted = true;
		} else if (kind == sack && size >= 10 && (size - 2) % 8 == 0) {
			for (uint32_t block = 2; block < size; block += 8)
				if (const uint32_t right = packet::be32(at + block + 4);
				    before(s.selectively, right))
					s.selectively = right;
		}
		at += size;
	}
}

// Those that a sane sender sets; PSH and the bits of ECN go with all of them.
bool sane(uint8_t flags)
{
	using S = TcpSegment;
	switch (flags & (S::fin | S::syn | S::rst | S::ack | S::urg)) {
	case S::syn:
	case S::syn | S::urg:
	case S::syn | S::ack:
	case S::rst:
	case S::rst | S::ack:
	case S::fin | S::ack:
	case S::fin | S::ack | S::urg:
	case S::ack:
	case S::ack | S::urg:
		return true;
	default:
		return false;
	}
}

} // namespace

TcpSegment read_tcp(const uint8_t *data, uint32_t captured, uint32_t length)
{
	TcpSegment s;
	s.broken = true;
	if (captured < header_size)
		return s;
	const uint32_t header = (data[12] >> 4) * 4u;
	s.flags = data[13];
	s.window = packet::be16(data + 14);
	s.sequence = s.end = packet::be32(data + 4);
	s.acknowledged = s.selectively = packet::be32(data + 8);
	if (header < header_size || length < header)
		return s;
	s.broken = !sane(s.flags);
	s.end += length - header + ((s.flags & (TcpSegment::syn | TcpSegment::fin)) != 0);
	read_options(data + header_size, data + std::min(header, captured), s);
	return s;
}

} // namespace reframer::conntrack
