// IPv6 frames for tests, made of IPv4 ones and turned back: what a test says in IPv4 is then said of
// both. Sums of segments move with the addresses, so a wrong one stays wrong; those of ICMP, which
// cover other bytes in each family, are made anew where they were right.
#pragma once

#include "frames.hpp"

#include <array>

namespace frames {

using Bytes = std::vector<uint8_t>;

// Its last word is the IPv4 address; most of the others differ, too, from address to address.
inline std::array<uint8_t, 16> six(uint32_t address)
{
	std::array<uint8_t, 16> a{0x20, 0x01, 0x0d, 0xb8};
	put32(&a[4], address * 0x9e3779b1u);
	put32(&a[8], address * 0x85ebca6bu);
	put32(&a[12], address);
	return a;
}

// Over an IPv6 packet whose segment begins at `l4`: 0xffff where its sum is right.
inline uint32_t sum6(const uint8_t *ip, uint32_t protocol, const uint8_t *l4, size_t n)
{
	uint8_t pseudo[40] = {};
	std::memcpy(pseudo, ip + 8, 32);
	put32(pseudo + 32, static_cast<uint32_t>(n));
	pseudo[39] = static_cast<uint8_t>(protocol);
	return sum(l4, n, sum(pseudo, sizeof(pseudo)));
}

// The sum of a segment where other addresses stand in its pseudo header.
inline void move_sum(uint32_t protocol, uint8_t *l4, size_t n, uint32_t before, uint32_t after)
{
	const size_t at = protocol == 6 ? 16 : 6;
	if ((protocol != 6 && protocol != 17) || n < at + 2)
		return;
	uint8_t *const field = l4 + at;
	if (protocol == 17 && get16(field) == 0)
		return;
	uint32_t all = (~get16(field) & 0xffff) + (~before & 0xffff) + after;
	all = (all & 0xffff) + (all >> 16);
	all = ~((all & 0xffff) + (all >> 16)) & 0xffff;
	put16(field, protocol == 17 && all == 0 ? 0xffff : all);
}

struct Types {
	uint8_t four, six;
	bool error;
};
inline constexpr Types icmp_types[] = {{3, 1, true}, {11, 3, true}, {12, 4, true}, {8, 128, false}};

// `n` bytes of an IPv4 packet, perhaps cut short: the same of IPv6.
inline Bytes packet6(const uint8_t *ip, size_t n)
{
	const uint32_t place = get16(ip + 6) & 0x3fff;
	Bytes out(place ? 48 : 40);
	out[0] = 0x60;
	out[7] = ip[8];
	uint8_t protocol = ip[9];
	Bytes l4(ip + 20, ip + n);
	uint32_t length = get16(ip + 2) - 20;
	const auto from = six(get32(ip + 12)), to = six(get32(ip + 16));
	std::copy(from.begin(), from.end(), &out[8]);
	std::copy(to.begin(), to.end(), &out[24]);
	if (protocol == 1) {
		protocol = 58;
		for (const Types &t : icmp_types)
			if (t.four == l4[0]) {
				l4[0] = t.six;
				if (t.error) {
					const Bytes about = packet6(&l4[8], l4.size() - 8);
					l4.resize(8);
					l4.insert(l4.end(), about.begin(), about.end());
					length = static_cast<uint32_t>(l4.size());
				}
				break;
			}
		put16(&l4[2], 0);
		put16(&l4[2], ~sum6(out.data(), 58, l4.data(), l4.size()));
	} else if ((place & 0x1fff) == 0) {
		move_sum(protocol, l4.data(), l4.size(), sum(ip + 12, 8), sum(&out[8], 32));
	}
	put16(&out[4], length + (place ? 8 : 0));
	out[6] = place ? 44 : protocol;
	if (place) {
		out[40] = protocol;
		put16(&out[42], (place & 0x1fff) << 3 | place >> 13);
		put32(&out[44], get16(ip + 4) * 0x10001u);
	}
	out.insert(out.end(), l4.begin(), l4.end());
	return out;
}

inline Bytes packet4(const uint8_t *ip, size_t n)
{
	const bool fragment = ip[6] == 44;
	uint8_t protocol = fragment ? ip[40] : ip[6];
	Bytes out(20);
	out[0] = 0x45;
	out[8] = ip[7];
	Bytes l4(ip + (fragment ? 48 : 40), ip + n);
	uint32_t length = get16(ip + 4) - (fragment ? 8 : 0);
	std::copy(ip + 20, ip + 24, &out[12]);
	std::copy(ip + 36, ip + 40, &out[16]);
	const uint32_t place = fragment ? get16(ip + 42) >> 3 | (get16(ip + 42) & 1) << 13 : 0;
	if (protocol == 58) {
		protocol = 1;
		for (const Types &t : icmp_types)
			if (t.six == l4[0]) {
				l4[0] = t.four;
				if (t.error) {
					const Bytes about = packet4(&l4[8], l4.size() - 8);
					l4.resize(8);
					l4.insert(l4.end(), about.begin(), about.end());
					length = static_cast<uint32_t>(l4.size());
				}
				break;
			}
		put16(&l4[2], 0);
		put16(&l4[2], ~sum(l4.data(), l4.size()));
	} else if ((place & 0x1fff) == 0) {
		move_sum(protocol, l4.data(), l4.size(), sum(ip + 8, 32), sum(&out[12], 8));
	}
	put16(&out[2], 20 + length);
	out[9] = protocol;
	put16(&out[6], place);
	if (fragment)
		put16(&out[4], get16(ip + 44));
	put16(&out[10], ~sum(out.data(), 20));
	out.insert(out.end(), l4.begin(), l4.end());
	return out;
}

// Of untagged frames without IP options.
inline Bytes frame6(const Bytes &f)
{
	Bytes out(f.begin(), f.begin() + 14);
	put16(&out[12], 0x86dd);
	const Bytes p = packet6(&f[14], f.size() - 14);
	out.insert(out.end(), p.begin(), p.end());
	return out;
}
inline Bytes frame4(const Bytes &f)
{
	Bytes out(f.begin(), f.begin() + 14);
	put16(&out[12], 0x0800);
	const Bytes p = packet4(&f[14], f.size() - 14);
	out.insert(out.end(), p.begin(), p.end());
	return out;
}

// Whether an IPv6 frame made here, and what it quotes in full, has its sums. Fragments count as right.
inline bool sums_right6(const uint8_t *ip, size_t n)
{
	if (ip[6] == 44)
		return true;
	const uint8_t *l4 = ip + 40;
	const size_t size = n - 40;
	if (ip[6] == 17 && get16(l4 + 6) == 0)
		return true;
	if (sum6(ip, ip[6], l4, size) != 0xffff)
		return false;
	const bool error = ip[6] == 58 && l4[0] < 128;
	return !error || size - 8 < 40u + get16(l4 + 12) || sums_right6(l4 + 8, size - 8);
}

} // namespace frames
