#include "packet/flow_key.hpp"

#include "packet/bytes.hpp"
#include "packet/hash.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

namespace reframer::packet {

namespace {

constexpr uint8_t protocol_fragment = 44; // the IPv6 fragment header

bool source_is_greater(const FlowKey &key)
{
	// IPv4 in the order of the words that classify() compares.
	if (key.version == 4)
		return hash_endpoint(load<uint32_t>(key.source.data()), swap16(key.source_port)) >
		       hash_endpoint(load<uint32_t>(key.destination.data()), swap16(key.destination_port));
	const int order = std::memcmp(key.source.data(), key.destination.data(), 16);
	return order != 0 ? order > 0 : key.source_port > key.destination_port;
}

// Fragment ids and SPIs take the place of the ports.
uint64_t tail_of(const FlowKey &key)
{
	const uint32_t ports =
		swap16(key.source_port) | static_cast<uint32_t>(swap16(key.destination_port)) << 16;
	return hash_tail(ports | swap32(key.id), key.protocol, static_cast<uint8_t>(key.shape));
}

std::pair<uint64_t, uint64_t> words_of(const FlowKey &key, uint64_t seed)
{
	if (key.version != 4)
		return hash_words_v6(key.source.data(), key.destination.data(), tail_of(key), seed);
	const uint64_t addresses = load<uint32_t>(key.source.data()) |
	                           static_cast<uint64_t>(load<uint32_t>(key.destination.data())) << 32;
	return {addresses, tail_of(key)};
}

const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case 1:
		return "icmp";
	case 4:
		return "ipip";
	case 6:
		return "tcp";
	case 17:
		return "udp";
	case 33:
		return "dccp";
	case 41:
		return "ipv6";
	case 44:
		return "ipv6";
	case 47:
		return "gre";
	case 50:
		return "esp";
	case 51:
		return "ah";
	case 58:
		return "icmp6";
	case 132:
		return "sctp";
	case 136:
		return "udplite";
	}
	return nullptr;
}

std::string text_of(const FlowKey &key, const std::array<uint8_t, 16> &address, bool with_port,
                    uint16_t port)
{
	char name[INET6_ADDRSTRLEN] = "";
	char text[INET6_ADDRSTRLEN + sizeof "[]:65535"];
	inet_ntop(key.version == 4 ? AF_INET : AF_INET6, address.data(), name, sizeof name);
	if (!with_port)
		return name;
	std::snprintf(text, sizeof text, key.version == 4 ? "%s:%u" : "[%s]:%u", name, port);
	return text;
}

std::string mac_of(const std::array<uint8_t, 16> &address)
{
	char text[18];
	std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", address[0], address[1],
	              address[2], address[3], address[4], address[5]);
	return text;
}

} // namespace

namespace {

// The labels, each in the order of the wire without traffic class and time to live. Beyond eight
// they are folded: what differs there only may share a group.
FlowKey labels_of(const Headers &headers, const uint8_t *data)
{
	FlowKey key{};
	key.shape = KeyShape::labels;
	for (uint32_t i = 0; i < headers.nb_mpls; i++) {
		const uint8_t *label = data + headers.mpls + i * 4;
		uint8_t *to = (i & 4 ? key.destination : key.source).data() + (i & 3) * 4;
		to[0] ^= label[0];
		to[1] ^= label[1];
		to[2] ^= label[2] & 0xf0;
		to[3] ^= 1; // label 0 is none, too
	}
	key.id = headers.nb_mpls;
	return key;
}

void put_addresses(FlowKey &key, uint8_t version, const uint8_t *ip)
{
	const uint8_t *addresses = ip + (version == 4 ? 12 : 8);
	const size_t size = version == 4 ? 4 : 16;
	std::memcpy(key.source.data(), addresses, size);
	std::memcpy(key.destination.data(), addresses + size, size);
}

} // namespace

FlowKey five_tuple_of(const Headers &headers, const uint8_t *data)
{
	FlowKey key{};
	key.version = headers.version;
	if (headers.version == 0) {
		if (headers.labels_whole)
			return labels_of(headers, data);
		if (!headers.has_ethernet && headers.ether_type == 0)
			return key;
		key.shape = KeyShape::link;
		key.id = headers.ether_type;
		if (headers.has_ethernet) {
			std::memcpy(key.destination.data(), data + headers.l2, 6);
			std::memcpy(key.source.data(), data + headers.l2 + 6, 6);
		}
		return key;
	}
	put_addresses(key, headers.version, data + headers.l3);
	key.protocol = headers.protocol;
	key.shape = KeyShape::flow;
	if (headers.flags & header_ports) {
		key.source_port = headers.source_port;
		key.destination_port = headers.destination_port;
	}
	return key;
}

FlowKey flow_key_of(const Headers &headers, const uint8_t *data)
{
	if ((headers.flags & header_fragment) && headers.fragment_offset != 0)
		return datagram_key_of(headers, data);
	FlowKey key = five_tuple_of(headers, data);
	if (headers.flags & header_spi) {
		key.shape = KeyShape::spi;
		key.id = headers.spi;
		key.protocol = headers.spi_protocol;
	} else {
		return key;
	}
	key.source_port = 0;
	key.destination_port = 0;
	return key;
}

FlowKey rss_key_of(const Headers &headers, const uint8_t *data)
{
	FlowKey key = five_tuple_of(headers, data);
	if (headers.flags & header_fragment)
		key.source_port = key.destination_port = 0;
	return key;
}

FlowKey datagram_key_of(const Headers &headers, const uint8_t *data)
{
	FlowKey key{};
	if (headers.fragment_version == 0)
		return key;
	key.version = headers.fragment_version;
	put_addresses(key, key.version, data + headers.fragment_l3);
	key.shape = KeyShape::fragment;
	key.id = headers.fragment_id;
	// Fragments of one IPv6 packet may name different next headers (RFC 8200, section 4.5).
	key.protocol = key.version == 6 ? protocol_fragment : headers.fragment_protocol;
	return key;
}

FlowKey reversed(const FlowKey &key)
{
	FlowKey other = key;
	std::swap(other.source, other.destination);
	std::swap(other.source_port, other.destination_port);
	return other;
}

FlowKey symmetric(const FlowKey &key)
{
	FlowKey both = source_is_greater(key) ? reversed(key) : key;
	if (both.shape == KeyShape::spi) {
		both.shape = KeyShape::flow;
		both.id = 0;
	}
	return both;
}

FlowKey grouping_key(const FlowKey &key, KeyKind kind)
{
	if (key.version == 0)
		return key;
	switch (kind) {
	case KeyKind::five_tuple:
	case KeyKind::inner:
		return key;
	// A datagram has one direction, and a flow of its own only until that is known.
	case KeyKind::symmetric:
		return key.shape == KeyShape::fragment ? key : symmetric(key);
	case KeyKind::destination:
		break;
	}
	FlowKey target{};
	target.destination = key.destination;
	target.version = key.version;
	target.shape = KeyShape::address;
	return target;
}

uint32_t hash_of(const FlowKey &key, uint64_t seed)
{
	if (!key.is_flow())
		return unparsed_hash;
	const auto [a, b] = words_of(key, seed);
	return hash_words(a, b, seed);
}

size_t FlowKeyHash::operator()(const FlowKey &key) const
{
	const auto [a, b] = words_of(key, hash_c2);
	return fold_multiply(a ^ hash_c0, b ^ hash_c1);
}

std::string to_string(const FlowKey &key)
{
	char id[32];
	std::snprintf(id, sizeof id, "0x%x", key.id);
	if (key.shape == KeyShape::none)
		return "unparsed";
	std::string text;
	if (key.shape == KeyShape::link)
		return text.append("type ")
		    .append(id)
		    .append(" ")
		    .append(mac_of(key.source))
		    .append(" > ")
		    .append(mac_of(key.destination));
	if (key.shape == KeyShape::labels) {
		text = "mpls";
		for (uint32_t i = 0; i < std::min(key.id, 8u); i++) {
			const uint8_t *label = (i & 4 ? key.destination : key.source).data() + (i & 3) * 4;
			text.append(" ").append(std::to_string(be32(label) >> 12));
		}
		return text;
	}
	if (key.shape == KeyShape::address)
		return text.append("to ").append(text_of(key, key.destination, false, 0));

	const char *name = protocol_name(key.protocol);
	if (name)
		text = name;
	else
		text.append("proto ").append(std::to_string(key.protocol));
	if (key.shape == KeyShape::fragment)
		text.append(" fragment ").append(id);
	else if (key.shape == KeyShape::spi)
		text.append(" spi ").append(id);
	const bool with_port = key.source_port != 0 || key.destination_port != 0;
	return text.append(" ")
	    .append(text_of(key, key.source, with_port, key.source_port))
	    .append(" > ")
	    .append(text_of(key, key.destination, with_port, key.destination_port));
}

} // namespace reframer::packet
