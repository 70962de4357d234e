// Keys and hashes of a burst, by the parser that everything here goes by.
#include "packet/flow_key.hpp"
#include "reframer/capture.h"
#include "reframer/conntrack.h"
#include "reframer/reframer.h"
#include "traffic/capture.hpp"

#include <cerrno>
#include <cstring>

using namespace reframer;
using packet::LinkType;

namespace {

constexpr uint32_t ethernet = 14, ipv4 = 20, tcp = 20;

// As conntrack_key_ipv4() and conntrack_key_ipv6() lay them out.
struct Key4 {
	static constexpr size_t size = CONNTRACK_KEY_IPV4;
	static void put(uint8_t *key, const uint8_t *addresses, uint32_t ports, uint8_t protocol)
	{
		const uint64_t pair = packet::load<uint64_t>(addresses);
		const uint64_t tail = ports | uint64_t{protocol} << 32;
		std::memcpy(key, &pair, 8);
		std::memcpy(key + 8, &tail, 8);
	}
};
struct Key6 {
	static constexpr size_t size = CONNTRACK_KEY_IPV6;
	static void put(uint8_t *key, const uint8_t *addresses, uint32_t ports, uint8_t protocol)
	{
		const uint64_t pair = packet::load<uint64_t>(addresses);
		// ::ffff:a.b.c.d
		const uint64_t words[5] = {0, pair << 32 | 0xffff0000, 0,
		                           (pair & ~uint64_t{0xffffffff}) | 0xffff0000,
		                           ports | uint64_t{protocol} << 32};
		std::memcpy(key, words, sizeof(words));
	}
};

template <typename Key>
bool parsed_key(const uint8_t *data, uint32_t captured, uint32_t wire, LinkType link,
                packet::Depth depth, uint8_t *key)
{
	const packet::Headers headers = packet::parse(data, captured, wire, link, depth);
	const bool ports = headers.flags & packet::header_ports;
	const uint16_t from = ports ? __builtin_bswap16(headers.source_port) : uint16_t{0};
	const uint16_t to = ports ? __builtin_bswap16(headers.destination_port) : uint16_t{0};
	if (headers.version == 4) {
		Key::put(key, data + headers.l3 + 12, from | uint32_t{to} << 16, headers.protocol);
		return true;
	}
	if (headers.version == 6 && Key::size == CONNTRACK_KEY_IPV6) {
		const uint8_t *ip = data + headers.l3;
		conntrack_key_ipv6(key, ip + 8, ip + 24, from, to, headers.protocol);
		return true;
	}
	std::memset(key, 0, Key::size);
	return false;
}

template <typename Key>
int keys_of(const reframer_capture_burst &burst, uint32_t first, uint32_t count, uint32_t flags,
            uint8_t *keys)
{
	const bool inner = flags & REFRAMER_CAPTURE_INNER;
	const packet::Depth depth = inner ? packet::Depth::innermost : packet::Depth::outer;
	int with_key = 0;
	for (uint32_t i = first; i < first + count; i++, keys += Key::size) {
		const uint8_t *data = burst.bytes + burst.offsets[i];
		const uint32_t captured = burst.offsets[i + 1] - burst.offsets[i];
		const LinkType link = traffic::parser_link(burst.link[i]);
		if (link == LinkType::ethernet && captured >= ethernet + ipv4 + tcp &&
		    packet::is_plain_untagged(data) &&
		    !(inner && packet::is_tunnel_port(packet::load<uint32_t>(data + 34)))) [[likely]] {
			Key::put(keys, data + 26, packet::load<uint32_t>(data + 34), data[23]);
			with_key++;
		} else {
			with_key += parsed_key<Key>(data, captured, burst.wire[i], link, depth, keys);
		}
		if (flags & REFRAMER_CAPTURE_SYMMETRIC)
			conntrack_key_symmetric(keys, Key::size);
	}
	return with_key;
}

bool sound(const reframer_capture_burst *burst, uint32_t first, uint32_t count, const void *out)
{
	return burst && burst->bytes && burst->offsets && burst->wire && burst->link && out &&
	       first <= burst->count && count <= burst->count - first;
}

} // namespace

extern "C" {

int reframer_capture_keys(const struct reframer_capture_burst *burst, uint32_t first,
                          uint32_t count, uint32_t key_size, uint32_t flags, void *keys)
{
	constexpr uint32_t known = REFRAMER_CAPTURE_SYMMETRIC | REFRAMER_CAPTURE_INNER;
	if (!sound(burst, first, count, keys) || (flags & ~known))
		return -EINVAL;
	auto *to = static_cast<uint8_t *>(keys);
	if (key_size == CONNTRACK_KEY_IPV4)
		return keys_of<Key4>(*burst, first, count, flags, to);
	if (key_size == CONNTRACK_KEY_IPV6)
		return keys_of<Key6>(*burst, first, count, flags, to);
	return -EINVAL;
}

int reframer_capture_hashes(const struct reframer_capture_burst *burst, uint32_t first,
                            uint32_t count, uint32_t kind, uint64_t seed, uint32_t *hashes)
{
	if (!sound(burst, first, count, hashes) || kind > REFRAMER_KEY_INNER)
		return -EINVAL;
	for (uint32_t i = first; i < first + count; i++)
		*hashes++ = packet::classify<false>(
						burst->bytes + burst->offsets[i], burst->offsets[i + 1] - burst->offsets[i],
						traffic::parser_link(burst->link[i]), packet::KeyKind(kind), seed)
		                .hash;
	return 0;
}

} // extern "C"
