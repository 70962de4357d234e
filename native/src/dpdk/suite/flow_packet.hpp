// What the functions of the box need of a packet's headers.
#pragma once

#include "packet/parse.hpp"
#include "packet/toeplitz.hpp"
#include "reframer/conntrack.h"

#include <rte_byteorder.h>
#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace reframer::dpdk {

using FlowKeyBytes = std::array<uint8_t, CONNTRACK_KEY_IPV4>;

struct FlowPacket {
	static constexpr uint8_t tcp = 6, udp = 17, dccp = 33, sctp = 132, udp_lite = 136;

	uint8_t version = 0; // 0: no IP packet
	uint8_t protocol = 0;
	bool has_ports = false;
	uint16_t destination_port = 0; // host order
	uint8_t *l3 = nullptr;
	uint8_t *l4 = nullptr; // of a whole TCP or UDP packet over IPv4: what NAT can translate

	static FlowPacket of(rte_mbuf *mbuf)
	{
		FlowPacket p;
		auto *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
		const packet::Headers h = packet::parse(data, mbuf->data_len, mbuf->pkt_len,
		                                        packet::LinkType::ethernet, packet::Depth::outer);
		if (h.version == 0)
			return p;
		p.version = h.version;
		p.protocol = h.protocol;
		p.has_ports = h.flags & packet::header_ports;
		p.destination_port = h.destination_port;
		p.l3 = data + h.l3;
		const uint32_t needed = h.protocol == tcp ? 20 : 8;
		if (h.version == 4 && p.has_ports && !(h.flags & packet::header_fragment) &&
		    (h.protocol == tcp || h.protocol == udp) && h.l4 + needed <= mbuf->data_len)
			p.l4 = data + h.l4;
		return p;
	}

	// It has ports, and they are not here: a later fragment, or cut off.
	bool hides_ports() const
	{
		return !has_ports && (protocol == tcp || protocol == udp || protocol == dccp ||
		                      protocol == sctp || protocol == udp_lite);
	}

	// Of IPv4; keys and hashes of packets with l4.
	const uint8_t *source() const { return l3 + 12; }
	const uint8_t *destination() const { return l3 + 16; }
	uint16_t source_word() const { return word_at(l4); }
	uint16_t destination_word() const { return word_at(l4 + 2); }
	FlowKeyBytes key() const
	{
		FlowKeyBytes key;
		conntrack_key_ipv4(key.data(), source(), destination(), source_word(), destination_word(),
		                   protocol);
		return key;
	}
	uint32_t hash(const packet::Toeplitz &toeplitz) const { return toeplitz.ipv4(l3 + 12, l4); }
	// Of what answers it, once its source is `address`:`port`.
	FlowKeyBytes reply_key(const uint8_t *address, uint16_t port) const
	{
		FlowKeyBytes key;
		conntrack_key_ipv4(key.data(), destination(), address, destination_word(), port, protocol);
		return key;
	}
	uint32_t reply_hash(const packet::Toeplitz &toeplitz, const uint8_t *address,
	                    uint16_t port) const
	{
		uint8_t addresses[8], ports[4];
		std::memcpy(addresses, destination(), 4);
		std::memcpy(addresses + 4, address, 4);
		std::memcpy(ports, l4 + 2, 2);
		std::memcpy(ports + 2, &port, 2);
		return toeplitz.ipv4(addresses, ports);
	}

	// In network order, as it lies there.
	static uint16_t word_at(const uint8_t *at)
	{
		uint16_t word;
		std::memcpy(&word, at, sizeof(word));
		return word;
	}
};

// Whether a table for both directions keeps the key the other way round.
inline bool turned(FlowKeyBytes key)
{
	return conntrack_key_symmetric(key.data(), CONNTRACK_KEY_IPV4) == 1;
}

} // namespace reframer::dpdk
