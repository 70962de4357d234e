// Balancers as functions of a chain: by a consistent hash, and by cookies over IPv4 and IPv6.
#include "drive.hpp"
#include "frames6.hpp"

#include "nf/backends.hpp"
#include "nf/balancer/chain_function.hpp"
#include "nf/load_balancer.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>

using namespace reframer;
using namespace drive;

TEST_CASE("the load balancer keeps a connection where it is and spreads new ones evenly")
{
	nf::Config config;
	config.kind = nf::ChainKind::lb;
	config.table_capacity = 8192;
	config.nb_servers = 10;
	auto chain = nf::ChainFactory(config).make(nf::Form::packet, 0);
	std::map<uint32_t, int> share;
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 5000; i++) {
			Flow f{0x0a000000u + i, 0x20000001, static_cast<uint16_t>(i), 443,
			       static_cast<uint8_t>(i & 1 ? 6 : 17)};
			auto out = pass(*chain, frames::build(f, 9, 1));
			REQUIRE(!out.empty());
			CHECK(frames::sum(&out[14], 20) == 0xffff);
			CHECK(frames::l4_sum(&out[14], 20, out.size() - 34) == 0xffff);
			CHECK(get16(&out[36]) == 443);
			uint32_t server = get32(&out[30]) - 0xc6130000u;
			REQUIRE(server < 10);
			if (round == 0)
				share[server]++;
		}
	}
	for (const auto &[server, connections] : share)
		CHECK(std::abs(connections - 500) < 120);
	for (const auto &[name, value] : chain->counters())
		CHECK(value == 5000);
}

TEST_CASE("most connections of a consistent hash stay when a server leaves")
{
	nf::Backends all(100, 7), fewer(99, 7);
	nf::Random random{seed()};
	int moved = 0;
	for (int i = 0; i < 20000; i++) {
		uint64_t hash = random.next();
		uint16_t before = all.choose(hash);
		moved += before != fewer.choose(hash) && before != 99;
	}
	MESSAGE((moved / 200.0) << " % moved without need");
	CHECK(moved < 20000 / 4);
}

namespace {

// A TCP frame with the timestamp option, optionally not aligned as usual.
std::vector<uint8_t> with_timestamps(const Flow &f, uint8_t flags, uint32_t value, uint32_t echo,
                                     bool odd)
{
	auto p = frames::build(f, 12 + 20, 3);
	uint8_t *tcp = &p[34];
	tcp[12] = 0x80;
	tcp[13] = flags;
	uint8_t *o = tcp + 20;
	*o++ = 1;
	if (!odd)
		*o++ = 1;
	*o++ = 8;
	*o++ = 10;
	frames::put32(o, value);
	frames::put32(o + 4, echo);
	if (odd)
		o[8] = 0;
	frames::put16(tcp + 16, 0);
	frames::put16(tcp + 16, ~frames::l4_sum(&p[14], 20, p.size() - 34));
	return p;
}

} // namespace

TEST_CASE("as a function of a chain, the balancer brings a connection back by its cookie")
{
	nf::Random random{seed()};
	nf::Config config;
	config.kind = nf::ChainKind::cookie_lb;
	config.nb_servers = 50;
	const uint32_t service = nf::CookieBalancer::service_address;
	for (const nf::Form form : {nf::Form::packet, nf::Form::run}) {
		auto chain = nf::ChainFactory(config).make(form, 0);
		for (uint32_t i = 0; i < 500; i++) {
			const bool odd = i & 1;
			Flow f{0x0a000000u + i, service, static_cast<uint16_t>(random.next()), 80, 6};
			const auto stamp = static_cast<uint32_t>(random.next());
			auto syn = pass(*chain, with_timestamps(f, 0x02, stamp, 0, odd));
			const uint32_t server = get32(&syn[30]);
			REQUIRE(server - nf::CookieBalancer::first_server < 50);
			Flow back{server, f.source, 80, f.source_port, 6};
			auto answer = pass(*chain, with_timestamps(back, 0x12, 0x12345678, stamp, odd));
			CHECK(get32(&answer[26]) == service);
			const size_t option = 34 + 20 + (odd ? 3 : 4);
			auto ack =
				pass(*chain, with_timestamps(f, 0x10, stamp + 1, get32(&answer[option]), odd));
			CHECK(get32(&ack[30]) == server);
			CHECK(get32(&ack[option + 4]) == 0x12345678);
			for (const auto *p : {&syn, &answer, &ack}) {
				CHECK(frames::sum(&(*p)[14], 20) == 0xffff);
				CHECK(frames::l4_sum(&(*p)[14], 20, p->size() - 34) == 0xffff);
			}
		}
		for (const auto &[name, value] : chain->counters())
			if (name == "cookies")
				CHECK(value == 500);
	}
}

TEST_CASE("as a function of a chain, the balancer brings a connection over IPv6 back, too")
{
	using nf::CookieBalancer;
	nf::Random random{seed()};
	nf::Config config;
	config.kind = nf::ChainKind::cookie_lb;
	config.nb_servers = 50;
	const uint32_t service = CookieBalancer::service_address;
	// In the chain's network, at this end of the packet.
	const auto in_network = [](std::vector<uint8_t> frame, size_t at) {
		std::copy_n(CookieBalancer::network6, 12, &frame[at]);
		frames::put16(&frame[54 + 16], 0);
		frames::put16(&frame[54 + 16], ~frames::sum6(&frame[14], 6, &frame[54], frame.size() - 54));
		return frame;
	};
	constexpr size_t source = 22, destination = 38;
	for (const nf::Form form : {nf::Form::packet, nf::Form::run}) {
		auto chain = nf::ChainFactory(config).make(form, 0);
		for (uint32_t i = 0; i < 500; i++) {
			const bool odd = i & 1;
			const Flow f{0x0a000000u + i, service, static_cast<uint16_t>(random.next()), 80, 6};
			const auto six = [&](uint8_t flags, uint32_t value, uint32_t echo) {
				return in_network(frames::frame6(with_timestamps(f, flags, value, echo, odd)),
				                  destination);
			};
			const auto stamp = static_cast<uint32_t>(random.next());
			const auto syn = pass(*chain, six(0x02, stamp, 0));
			const uint32_t server = get32(&syn[destination + 12]);
			REQUIRE(server - CookieBalancer::first_server < 50);
			const Flow back{server, f.source, 80, f.source_port, 6};
			const auto answer =
				pass(*chain,
			         in_network(frames::frame6(with_timestamps(back, 0x12, 0x12345678, stamp, odd)),
			                    source));
			CHECK(get32(&answer[source + 12]) == service);
			const size_t option = 54 + 20 + (odd ? 3 : 4);
			const auto ack = pass(*chain, six(0x10, stamp + 1, get32(&answer[option])));
			CHECK(get32(&ack[destination + 12]) == server);
			CHECK(get32(&ack[option + 4]) == 0x12345678);
			for (const auto *p : {&syn, &answer, &ack})
				CHECK(frames::sums_right6(&(*p)[14], p->size() - 14));
		}
		for (const auto &[name, value] : chain->counters())
			if (name == "cookies")
				CHECK(value == 500);
	}
}
