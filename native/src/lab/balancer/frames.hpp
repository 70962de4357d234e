// Frames of the balancer's jobs: TCP with timestamps, sums complete.
#pragma once

#include "nf/balancer/packet.hpp"
#include "packet/bytes.hpp"
#include "packet/checksum.hpp"
#include "reframer/balancer.h"

#include <cstdint>
#include <cstring>
#include <memory>

namespace reframer::lab {

constexpr uint32_t lb_service = 0xc0000201, lb_client_net = 0x0a000000, lb_server_net = 0x0a800000;
constexpr uint16_t lb_port = 80;
constexpr uint32_t lb_ip_at = 14, lb_most_frame = 86;
constexpr uint32_t lb_tcp_at(bool v6)
{
	return v6 ? 54 : 34;
}
constexpr uint32_t lb_frame_size(bool v6)
{
	return lb_tcp_at(v6) + 32;
}

struct LbEndpoint {
	uint32_t address; // host order
	uint16_t port;
};

// Connection number to client: as many ports of one address as there are.
inline LbEndpoint lb_client(uint32_t connection)
{
	return {lb_client_net + 1 + connection / 60000,
	        static_cast<uint16_t>(1024 + connection % 60000)};
}

// In IPv6 the same behind a prefix.
inline void put_lb_address6(uint8_t *at, uint32_t address)
{
	std::memset(at, 0, 12);
	at[0] = 0xfd;
	packet::put_be32(at + 12, address);
}

// Writes lb_frame_size() bytes.
inline void write_lb_frame(uint8_t *f, LbEndpoint from, LbEndpoint to, uint8_t flags,
                           uint32_t value, uint32_t echo, bool v6 = false)
{
	using packet::put_be16;
	using packet::put_be32;
	const uint32_t size = lb_frame_size(v6);
	std::memset(f, 0, size);
	uint8_t *ip = f + lb_ip_at, *tcp = f + lb_tcp_at(v6);
	if (v6) {
		put_be16(f + 12, 0x86dd);
		ip[0] = 0x60;
		put_be16(ip + 4, 32);
		ip[6] = 6;
		ip[7] = 64;
		put_lb_address6(ip + 8, from.address);
		put_lb_address6(ip + 24, to.address);
	} else {
		put_be16(f + 12, 0x0800);
		ip[0] = 0x45;
		put_be16(ip + 2, static_cast<uint16_t>(size - lb_ip_at));
		ip[8] = 64;
		ip[9] = 6;
		put_be32(ip + 12, from.address);
		put_be32(ip + 16, to.address);
		put_be16(ip + 10, packet::checksum(ip, 20));
	}
	put_be16(tcp, from.port);
	put_be16(tcp + 2, to.port);
	tcp[12] = 0x80;
	tcp[13] = flags;
	put_be32(tcp + 20, 0x0101080a);
	put_be32(tcp + 24, value);
	put_be32(tcp + 28, echo);
	put_be16(tcp + 16, packet::checksum_l4(ip, 6, tcp, 32));
}

inline bool lb_sums_right(const uint8_t *f, bool v6 = false)
{
	return (v6 || packet::checksum_ipv4(f + lb_ip_at) == 0) &&
	       packet::checksum_l4(f + lb_ip_at, 6, f + lb_tcp_at(v6), 32) == 0;
}

inline uint32_t lb_destination(const uint8_t *f, bool v6 = false)
{
	return balance::load_be32(f + lb_tcp_at(v6) - 4);
}

struct LbFree {
	void operator()(balancer *b) const { balancer_free(b); }
};
using Lb = std::unique_ptr<balancer, LbFree>;

inline balancer_params lb_params(uint64_t seed)
{
	balancer_params p;
	balancer_default_params(&p);
	packet::put_be32(p.service, lb_service);
	put_lb_address6(p.service6, lb_service);
	seed |= 1ull << 60; // not all zeros
	std::memcpy(p.key, &seed, sizeof(seed));
	return p;
}

// Ids 0 and up, at lb_server_net and up; clocks uniform.
inline void lb_add_server(balancer *b, uint32_t number)
{
	balancer_server s;
	balancer_default_server(&s);
	packet::put_be32(s.address, lb_server_net + number);
	put_lb_address6(s.address6, lb_server_net + number);
	s.clock = BALANCER_CLOCK_UNIFORM;
	balancer_add(b, &s);
}

inline balancer_frame lb_pass(balancer *b, uint8_t *frame, uint64_t now_ns, bool v6 = false)
{
	balancer_frame f{frame, lb_frame_size(v6), 0, 0};
	balancer_process(b, &f, 1, now_ns);
	return f;
}

// Where a new connection went; UINT32_MAX: nowhere.
inline uint32_t lb_open(balancer *b, LbEndpoint client, uint64_t now_ns, bool v6 = false)
{
	uint8_t frame[lb_most_frame];
	write_lb_frame(frame, client, {lb_service, lb_port}, 0x02, 1, 0, v6);
	return lb_pass(b, frame, now_ns, v6).server;
}

// What the client sees of its server's timestamp.
inline uint32_t lb_answer(balancer *b, uint32_t server, LbEndpoint client, uint8_t flags,
                          uint32_t clock, uint64_t now_ns, bool v6 = false)
{
	uint8_t frame[lb_most_frame];
	write_lb_frame(frame, {lb_server_net + server, lb_port}, client, flags, clock, 1, v6);
	lb_pass(b, frame, now_ns, v6);
	return balance::load_be32(frame + lb_tcp_at(v6) + 24);
}

} // namespace reframer::lab
