// Clients and servers around a balancer, as their stacks behave as far as timestamps go: each packet
// is checked where it arrives.
#pragma once

#include "../frames6.hpp"

#include "nf/balancer/packet.hpp"
#include "reframer/balancer.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace world {

using Frame = std::vector<uint8_t>;

constexpr uint32_t service = 0xc0000201, client_net = 0x0a000000, server_net = 0x0a630000;
constexpr uint64_t ms = 1'000'000, second = 1000 * ms, hour = 3600 * second;

inline void put_address(uint8_t out[4], uint32_t address)
{
	frames::put32(out, address);
}
using frames::get32;

struct TcpOptions {
	std::optional<std::pair<uint32_t, uint32_t>> stamps; // value, echo
	bool odd = false;                                    // option not aligned as usual
};

inline Frame tcp(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port, uint8_t flags,
                 const TcpOptions &o = {}, size_t payload = 5)
{
	const size_t options = o.stamps ? 12 : 0;
	Frame p = frames::build({from, to, from_port, to_port, 6}, options + payload, 7);
	uint8_t *tcp = &p[34];
	tcp[12] = static_cast<uint8_t>((20 + options) / 4 << 4);
	tcp[13] = flags;
	if (o.stamps) {
		uint8_t *at = tcp + 20;
		*at++ = 1;
		if (!o.odd)
			*at++ = 1;
		*at++ = 8;
		*at++ = 10;
		frames::put32(at, o.stamps->first);
		frames::put32(at + 4, o.stamps->second);
		if (o.odd)
			at[8] = 0;
	}
	frames::put16(tcp + 16, 0);
	frames::put16(tcp + 16, ~frames::l4_sum(&p[14], 20, p.size() - 34));
	return p;
}

// The option of a frame made here, or null.
inline uint8_t *stamps_of(Frame &p)
{
	if (p[34 + 12] >> 4 < 8)
		return nullptr;
	return &p[34 + (p[34 + 21] == 8 ? 23 : 24)];
}

// Sums from scratch: of the header, and of what the datagram carries.
inline void check_sums(const Frame &p)
{
	REQUIRE(frames::sum(&p[14], 20) == 0xffff);
	const size_t l4 = p.size() - 34;
	if ((p[20] & 0x3f) != 0 || p[21] != 0)
		return; // a fragment
	if (p[23] == 6 || (p[23] == 17 && (p[40] | p[41])))
		REQUIRE(frames::l4_sum(&p[14], 20, l4) == 0xffff);
	if (p[23] == 1)
		REQUIRE(frames::sum(&p[34], l4) == 0xffff);
}

// Which packets are IPv6 on their way through the balancer.
enum class Family { four, six, by_client };

// The client of a packet between one and the service, or of what an ICMP error is about.
inline uint32_t client_of(const Frame &f)
{
	if (f[23] == 1 && f[34] != 8 && f.size() >= 62)
		return get32(&f[42 + 16]);
	return get32(&f[30]) == service ? get32(&f[26]) : get32(&f[30]);
}

struct Result {
	Frame frame;
	uint32_t verdict, server;
	uint32_t source() const { return get32(&frame[26]); }
	uint32_t destination() const { return get32(&frame[30]); }
};

class Box {
public:
	explicit Box(balancer_params p, Family family = Family::four) : family_(family)
	{
		if (family_ != Family::four)
			std::copy_n(frames::six(service).begin(), 16, p.service6);
		if (family_ == Family::six)
			put_address(p.service, 0);
		balancer *made = nullptr;
		REQUIRE(balancer_create(&p, &made) == 0);
		b_.reset(made);
	}
	static balancer_params defaults()
	{
		balancer_params p;
		balancer_default_params(&p);
		put_address(p.service, service);
		p.key[0] = 1;
		return p;
	}
	int add(uint32_t address, uint32_t clock = BALANCER_CLOCK_DETECT, uint32_t weight = 1)
	{
		balancer_server s;
		balancer_default_server(&s);
		if (family_ != Family::six)
			put_address(s.address, address);
		if (family_ != Family::four)
			std::copy_n(frames::six(address).begin(), 16, s.address6);
		s.clock = clock;
		s.weight = weight;
		return balancer_add(b_.get(), &s);
	}
	// An IPv4 frame; where it is to be IPv6, it is that inside.
	Result pass(const Frame &frame)
	{
		Result r{frame, 0, 0};
		within(r.frame, [&](Frame &inside) {
			balancer_frame f{inside.data(), static_cast<uint32_t>(inside.size()), 0, 0};
			balancer_process(b_.get(), &f, 1, now);
			r.verdict = f.verdict;
			r.server = f.server;
		});
		return r;
	}
	int direct(Frame &frame, uint32_t id)
	{
		int result = 0;
		within(frame, [&](Frame &inside) {
			result =
				balancer_direct(b_.get(), inside.data(), static_cast<uint32_t>(inside.size()), id);
		});
		return result;
	}
	balancer_stats stats() const
	{
		balancer_stats s;
		balancer_get_stats(b_.get(), &s);
		return s;
	}
	balancer *get() { return b_.get(); }

	uint64_t now = second;

private:
	template <typename Work> void within(Frame &frame, Work work)
	{
		if (family_ == Family::four ||
		    (family_ == Family::by_client && client_of(frame) % 2 == 0)) {
			work(frame);
			check_sums(frame);
			return;
		}
		const Frame before = frames::frame6(frame);
		Frame inside = before;
		work(inside);
		REQUIRE(frames::sums_right6(&inside[14], inside.size() - 14));
		if (inside == before)
			return;
		frame = frames::frame4(inside);
		// Nothing but these bytes of addresses may have come out.
		REQUIRE(frames::frame6(frame) == inside);
	}

	struct Free {
		void operator()(balancer *b) const { balancer_free(b); }
	};
	std::unique_ptr<balancer, Free> b_;
	const Family family_;
};

// A server's clock: ticks of a kHz, or of a MHz; one for all clients, or with an offset a client.
struct ServerHost {
	uint32_t address;
	uint32_t start;
	uint64_t tick_ns = ms;
	bool by_client = false;

	uint32_t clock(uint64_t now, uint32_t client) const
	{
		uint32_t offset = by_client ? static_cast<uint32_t>(reframer::base::mix64(client)) : 0;
		return start + offset + static_cast<uint32_t>(now / tick_ns);
	}
};

} // namespace world
