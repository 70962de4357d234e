// Unaligned reads from frame bytes. The caller has checked the length.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace reframer::packet {

// Values in memory order, for hashing and comparing; `be` reads give the number on the wire.
template <typename T> inline T load(const uint8_t *p)
{
	T value;
	std::memcpy(&value, p, sizeof value);
	return value;
}

static_assert(std::endian::native == std::endian::little, "the byte swaps below assume it");

constexpr uint16_t swap16(uint16_t value)
{
	return __builtin_bswap16(value);
}
constexpr uint32_t swap32(uint32_t value)
{
	return __builtin_bswap32(value);
}

inline uint16_t be16(const uint8_t *p)
{
	return swap16(load<uint16_t>(p));
}
inline uint32_t be32(const uint8_t *p)
{
	return swap32(load<uint32_t>(p));
}

inline void put_be16(uint8_t *p, uint16_t value)
{
	value = swap16(value);
	std::memcpy(p, &value, sizeof value);
}

inline void put_be32(uint8_t *p, uint32_t value)
{
	value = swap32(value);
	std::memcpy(p, &value, sizeof value);
}

} // namespace reframer::packet
