#include "packet/toeplitz.hpp"
#include "traffic/generator_packet.hpp"
#include "traffic/generator_random.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace reframer::traffic {

namespace {

// The same payload in every frame, with sums of its 16-bit words, so a checksum over any length
// costs nothing. It starts like a QUIC packet with a short header and like an empty DNS query, and
// goes on with letters: decoders have nothing to complain about.
struct Pattern {
	alignas(64) std::array<uint8_t, max_frame_length + 2> bytes{};
	std::array<uint32_t, max_frame_length / 2 + 1> sum{};

	constexpr Pattern()
	{
		bytes[0] = 0x40;
		uint32_t x = 0x2545f491;
		for (size_t i = 12; i < bytes.size(); i++) {
			x = x * 1664525 + 1013904223;
			bytes[i] = static_cast<uint8_t>('a' + (x >> 24) % 26);
		}
		for (size_t i = 0; i + 1 < sum.size(); i++)
			sum[i + 1] = sum[i] + (uint32_t{bytes[2 * i]} << 8 | bytes[2 * i + 1]);
	}
};

constexpr Pattern pattern;

void put16(uint8_t *p, uint32_t v)
{
	p[0] = static_cast<uint8_t>(v >> 8);
	p[1] = static_cast<uint8_t>(v);
}

void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

uint32_t words(const uint8_t *p, size_t bytes)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < bytes; i += 2)
		sum += uint32_t{p[i]} << 8 | p[i + 1];
	return sum;
}

uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return static_cast<uint16_t>(~sum);
}

uint32_t pattern_sum(uint32_t length)
{
	return pattern.sum[length / 2] + (length & 1 ? uint32_t{pattern.bytes[length - 1]} << 8 : 0);
}

// A bijection of the numbers below 2^bits: distinct connections get distinct addresses that do not
// look like a sequence.
uint32_t scramble(uint32_t x, uint32_t salt, unsigned bits)
{
	const uint32_t mask = (1u << bits) - 1;
	x = ((x ^ salt) * 0x9e3779b1u) & mask;
	x ^= x >> (bits / 2);
	x = ((x + salt) * 0x85ebca6bu) & mask;
	return x ^ (x >> (bits / 2));
}

void client_address(uint8_t *out, uint32_t host, bool ipv6)
{
	if (ipv6) {
		static constexpr uint8_t prefix[12] = {0x20, 0x01, 0x0d, 0xb8, 0, 1};
		std::memcpy(out, prefix, sizeof(prefix));
		put32(out + 12, host);
	} else {
		put32(out, 0x0a000000u | host);
	}
}

void server_address(uint8_t *out, uint32_t server, bool ipv6)
{
	if (ipv6) {
		static constexpr uint8_t prefix[12] = {0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff};
		std::memcpy(out, prefix, sizeof(prefix));
		put32(out + 12, server);
		return;
	}
	// First octet 11..171 without 127: public unicast, clear of the clients and of private ranges.
	const uint32_t place = scramble(server, 0x5bd1e995u, 24);
	uint32_t first = 11 + ((place & 0xff) * 160 >> 8);
	first += first >= 127;
	put32(out, first << 24 | place >> 8 << 8 | ((place & 0xff) % 250 + 2));
}

} // namespace

FlowTuple flow_tuple(uint32_t salt, uint32_t flow, uint8_t kind)
{
	const bool paired = kind & kind_paired, ipv6 = kind & kind_ipv6;
	const uint32_t connection = paired ? flow >> 1 : flow;
	const uint64_t random = mix64(uint64_t{salt} << 32 | connection);
	// Clients: 2^18 hosts where connections come and go (a campus, several times superposed), 2^24
	// where every flow is a client. Host and port together are a bijection of the connection up to
	// 28232 rounds over all hosts. The ports are Linux's ephemeral range.
	const unsigned host_bits = paired ? 18 : 24;
	const uint32_t host = scramble(connection & ((1u << host_bits) - 1), salt, host_bits);
	const uint32_t port =
		32768 + static_cast<uint32_t>((mix64(host) + (connection >> host_bits)) % 28232);
	// 2^16 servers. Where connections come and go, popularity falls off as a power: the cube of a
	// uniform draw gives the most popular 1 % of the servers a fifth of the connections.
	uint64_t u = random >> 32;
	if (paired)
		u = (((u * u) >> 32) * u) >> 32;

	FlowTuple tuple{};
	uint8_t *client = tuple.source, *server = tuple.destination;
	tuple.source_port = static_cast<uint16_t>(port);
	tuple.destination_port = service_ports[(kind & kind_service) >> kind_service_shift];
	if (paired && (flow & 1)) {
		std::swap(client, server);
		std::swap(tuple.source_port, tuple.destination_port);
	}
	client_address(client, host, ipv6);
	server_address(server, static_cast<uint32_t>(u >> 16), ipv6);
	tuple.protocol = kind & kind_tcp ? 6 : 17;
	tuple.ip_version = ipv6 ? 6 : 4;
	return tuple;
}

uint32_t flow_hash(const FlowTuple &tuple)
{
	static const packet::Toeplitz toeplitz(packet::toeplitz_key_microsoft);
	const size_t size = tuple.ip_version == 6 ? 16 : 4;
	uint8_t input[36];
	std::memcpy(input, tuple.source, size);
	std::memcpy(input + size, tuple.destination, size);
	put16(input + 2 * size, tuple.source_port);
	put16(input + 2 * size + 2, tuple.destination_port);
	return toeplitz(std::span<const uint8_t>(input, 2 * size + 4));
}

size_t header_length(uint8_t kind)
{
	return 14 + (kind & kind_ipv6 ? 40 : 20) +
	       (kind & kind_tcp ? (kind & kind_timestamps ? 32 : 20) : 8);
}

size_t write_frame(uint32_t salt, const PacketMeta &meta, uint8_t *out, size_t room)
{
	const FlowTuple tuple = flow_tuple(salt, meta.flow, meta.kind);
	const size_t headers = header_length(meta.kind);
	const size_t written = std::min<size_t>(room, meta.length);
	uint8_t head[max_header_length] = {
		2, 0, 0, 0, 0, 1,
		2, 0, 0, 0, 0, 2, // locally administered: the device under test, the tester
	};
	uint8_t *ip = head + 14, *l4;
	const uint32_t l4_length =
		static_cast<uint32_t>(headers - 14 - (meta.kind & kind_ipv6 ? 40 : 20) + meta.payload);
	uint64_t sum; // of pseudo-header, L4 header and payload
	if (meta.kind & kind_ipv6) {
		put16(head + 12, 0x86dd);
		ip[0] = 0x60;
		put16(ip + 4, l4_length);
		ip[6] = tuple.protocol;
		ip[7] = 64;
		std::memcpy(ip + 8, tuple.source, 16);
		std::memcpy(ip + 24, tuple.destination, 16);
		sum = words(ip + 8, 32);
		l4 = ip + 40;
	} else {
		put16(head + 12, 0x0800);
		ip[0] = 0x45;
		put16(ip + 2, 20 + l4_length);
		put16(ip + 4, meta.seq + meta.ack); // identification: any value that varies
		ip[6] = 0x40;                       // do not fragment
		ip[8] = 64;
		ip[9] = tuple.protocol;
		std::memcpy(ip + 12, tuple.source, 4);
		std::memcpy(ip + 16, tuple.destination, 4);
		put16(ip + 10, fold(words(ip, 20)));
		sum = words(ip + 12, 8);
		l4 = ip + 20;
	}
	sum += tuple.protocol + l4_length;
	put16(l4, tuple.source_port);
	put16(l4 + 2, tuple.destination_port);
	uint8_t *checksum;
	if (meta.kind & kind_tcp) {
		put32(l4 + 4, meta.seq);
		put32(l4 + 8, meta.ack);
		l4[12] = meta.kind & kind_timestamps ? 8 << 4 : 5 << 4;
		l4[13] = meta.flags;
		put16(l4 + 14, 0xffff);
		if (meta.kind & kind_timestamps) {
			l4[20] = l4[21] = 1; // two no-operations align the option
			l4[22] = 8;
			l4[23] = 10;
			put32(l4 + 24, static_cast<uint32_t>(meta.time_ns / 1000000)); // 1 kHz clock
		}
		checksum = l4 + 16;
	} else {
		put16(l4 + 4, l4_length);
		checksum = l4 + 6;
	}
	const size_t l4_header = headers - static_cast<size_t>(l4 - head);
	sum += words(l4, l4_header) + pattern_sum(meta.payload);
	const uint16_t value = fold(sum);
	// UDP sends 0 as 0xffff (RFC 768); TCP's 0 means 0.
	put16(checksum, value == 0 && !(meta.kind & kind_tcp) ? 0xffff : value);

	std::memcpy(out, head, std::min(headers, written));
	if (written > headers) {
		const size_t payload = std::min<size_t>(meta.payload, written - headers);
		std::memcpy(out + headers, pattern.bytes.data(), payload);
		if (written > headers + payload)
			std::memset(out + headers + payload, 0, written - headers - payload);
	}
	return written;
}

} // namespace reframer::traffic
