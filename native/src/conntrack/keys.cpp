// Flow keys in the two layouts that the header promises.
#include "reframer/conntrack.h"

#include <cerrno>
#include <cstring>

namespace {

// Addresses of `size` bytes each, then ports, protocol and three zero bytes.
void write_key(uint8_t *key, const uint8_t *source, const uint8_t *destination, size_t size,
               uint16_t source_port, uint16_t destination_port, uint8_t protocol)
{
	if (!key || !source || !destination)
		return;
	std::memcpy(key, source, size);
	std::memcpy(key + size, destination, size);
	std::memcpy(key + 2 * size, &source_port, 2);
	std::memcpy(key + 2 * size + 2, &destination_port, 2);
	key[2 * size + 4] = protocol;
	std::memset(key + 2 * size + 5, 0, 3);
}

} // namespace

extern "C" {

void conntrack_key_ipv4(void *key, const uint8_t source[4], const uint8_t destination[4],
                        uint16_t source_port, uint16_t destination_port, uint8_t protocol)
{
	write_key(static_cast<uint8_t *>(key), source, destination, 4, source_port, destination_port,
	          protocol);
}

void conntrack_key_ipv6(void *key, const uint8_t source[16], const uint8_t destination[16],
                        uint16_t source_port, uint16_t destination_port, uint8_t protocol)
{
	write_key(static_cast<uint8_t *>(key), source, destination, 16, source_port, destination_port,
	          protocol);
}

int conntrack_key_symmetric(void *key, uint32_t key_size)
{
	if (!key || (key_size != CONNTRACK_KEY_IPV4 && key_size != CONNTRACK_KEY_IPV6))
		return -EINVAL;
	size_t size = key_size == CONNTRACK_KEY_IPV4 ? 4 : 16;
	auto *k = static_cast<uint8_t *>(key);
	int order = std::memcmp(k, k + size, size);
	if (order == 0)
		order = std::memcmp(k + 2 * size, k + 2 * size + 2, 2);
	if (order <= 0)
		return 0;
	uint8_t swap[16];
	std::memcpy(swap, k, size);
	std::memcpy(k, k + size, size);
	std::memcpy(k + size, swap, size);
	std::memcpy(swap, k + 2 * size, 2);
	std::memcpy(k + 2 * size, k + 2 * size + 2, 2);
	std::memcpy(k + 2 * size + 2, swap, 2);
	return 1;
}

} // extern "C"
