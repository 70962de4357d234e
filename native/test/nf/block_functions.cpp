// Functions on flow blocks, one at a time: what each promises of its own.
#include "frames.hpp"

#include "conntrack/tcp_connection.hpp"
#include "nf/block/balancer.hpp"
#include "nf/block/chain.hpp"
#include "nf/block/firewall.hpp"
#include "nf/block/nat.hpp"
#include "nf/block/source_counter.hpp"

#include <doctest/doctest.h>

#include <set>
#include <thread>

using namespace reframer;
using namespace reframer::nf::block;
using frames::Flow;

namespace {

constexpr uint64_t second = 1'000'000'000;

conntrack_params params_of(uint64_t timeout_ns, uint32_t flows = 4096)
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.initial_flows = flows;
	p.max_flows = uint64_t{flows} * 4;
	p.seed = 3;
	std::fill_n(p.timeout_ns, CONNTRACK_NB_CLASSES, timeout_ns);
	return p;
}

Flow flow_of(uint32_t number, uint8_t protocol = 17)
{
	Flow f{};
	f.source = 0x0a000000 + number;
	f.destination = 0x08080808;
	f.source_port = static_cast<uint16_t>(1000 + number % 50000);
	f.destination_port = 443;
	f.protocol = protocol;
	return f;
}

// One packet; the frame as it left, empty where it was dropped.
template <typename Chain>
std::vector<uint8_t> pass(Chain &chain, const std::vector<uint8_t> &frame, uint64_t now)
{
	static frames::Pool pool(1);
	nf::Mbuf *packet = pool.load(0, frame), *dropped[1];
	if (chain.run(&packet, 1, now, dropped) == 0)
		return {};
	return {packet->data(), packet->data() + packet->captured};
}

uint32_t address(const std::vector<uint8_t> &frame, size_t at)
{
	return uint32_t{frame[at]} << 24 | frame[at + 1] << 16 | frame[at + 2] << 8 | frame[at + 3];
}
uint16_t port(const std::vector<uint8_t> &frame, size_t at)
{
	return static_cast<uint16_t>(frame[at] << 8 | frame[at + 1]);
}
bool sums_right(const std::vector<uint8_t> &frame)
{
	return frames::sum(&frame[14], 20) == 0xffff &&
	       frames::l4_sum(&frame[14], 20, frame.size() - 34) == 0xffff;
}

// A TCP segment of a connection between the ends of flow_of(number).
std::vector<uint8_t> segment(uint32_t number, bool reply, uint8_t flags, uint32_t sequence,
                             uint32_t acknowledged, size_t payload = 0)
{
	Flow f = flow_of(number, 6);
	if (reply) {
		std::swap(f.source, f.destination);
		std::swap(f.source_port, f.destination_port);
	}
	auto p = frames::build(f, payload, 7);
	frames::put32(&p[38], sequence);
	frames::put32(&p[42], acknowledged);
	p[47] = flags;
	frames::put16(&p[48], 5000);
	return p;
}

} // namespace

TEST_CASE("NAT gives a port of a flow that is over to a new one, and none to two at a time")
{
	constexpr uint32_t endpoints = 500;
	FlowBlockChain<true, BlockNat> chain(params_of(second), BlockNat(1, endpoints));
	uint64_t now = second;
	for (uint32_t generation = 0; generation < 6; generation++) {
		std::set<std::pair<uint32_t, uint16_t>> seen;
		for (uint32_t i = 0; i < endpoints; i++) {
			const auto out = pass(chain, frames::build(flow_of(generation * 1000 + i), 20, 1), now);
			REQUIRE(!out.empty());
			CHECK(sums_right(out));
			CHECK(seen.emplace(address(out, 26), port(out, 34)).second);
		}
		// All are taken: another flow finds none.
		CHECK(pass(chain, frames::build(flow_of(generation * 1000 + 999), 20, 1), now).empty());
		CHECK(chain.verdicts(nf::verdict_table_full) == generation + 1);
		now += 3 * second;
		for (int i = 0; i < 1200; i++)
			chain.table().sweep(now += 1'000'000);
		CHECK(chain.table().stats().flows == 0);
	}
}

TEST_CASE("NAT in front of a firewall: replies find their way back, strangers do not")
{
	FlowBlockChain<true, FlowCounter, BlockNat, ConnectionFirewall> chain(
		params_of(60 * second), FlowCounter(), BlockNat(1, 1000), ConnectionFirewall());
	const uint64_t now = second;
	const auto out = pass(chain, segment(5, false, 0x02, 100, 0), now);
	REQUIRE(!out.empty());
	const uint32_t public_address = address(out, 26);
	const uint16_t public_port = port(out, 34);
	CHECK(public_address != flow_of(5).source);
	// The server answers to the endpoint that it sees.
	auto reply = [&](uint16_t to_port, uint8_t flags, uint32_t sequence, uint32_t ack) {
		Flow f{};
		f.source = flow_of(5).destination;
		f.destination = public_address;
		f.source_port = 443;
		f.destination_port = to_port;
		f.protocol = 6;
		auto p = frames::build(f, 0, 0);
		frames::put32(&p[38], sequence);
		frames::put32(&p[42], ack);
		p[47] = flags;
		frames::put16(&p[48], 5000);
		frames::put16(&p[50], 0);
		frames::put16(&p[50], ~frames::l4_sum(&p[14], 20, p.size() - 34));
		return p;
	};
	const auto back = pass(chain, reply(public_port, 0x12, 900, 101), now);
	REQUIRE(!back.empty());
	CHECK(address(back, 30) == flow_of(5).source);
	CHECK(port(back, 36) == flow_of(5).source_port);
	CHECK(sums_right(back));
	CHECK(!pass(chain, segment(5, false, 0x10, 101, 901), now).empty());
	// Both directions are one flow; a packet that acknowledges what was never sent is none of it.
	CHECK(chain.table().stats().flows == 1);
	CHECK(pass(chain, reply(public_port, 0x10, 901, 70'000'000), now).empty());
	CHECK(chain.verdicts(nf::verdict_denied) == 1);
}

TEST_CASE("the rate limiter passes what its bucket has, no packet less and none more")
{
	constexpr uint64_t rate = 50'000, bucket = 5'000;
	FlowBlockChain<true, RateLimiter> chain(params_of(0), RateLimiter(rate, bucket));
	nf::Random random{5};
	// The obvious bucket, in thousandths of a byte.
	double tokens = bucket;
	uint64_t now = second, before = now, passed = 0, offered = 0;
	for (int i = 0; i < 5000; i++) {
		now += random.below(20'000'000);
		tokens = std::min<double>(bucket, tokens + double(now - before) * rate / 1e9);
		before = now;
		const auto frame = frames::build(flow_of(1), random.below(1400), 1);
		const double size = static_cast<double>(frame.size());
		const bool passes = !pass(chain, frame, now).empty();
		// Where it is a matter of a millionth, either is right.
		if (std::abs(tokens - size) > 0.02)
			REQUIRE(passes == (tokens >= size));
		tokens -= passes ? size : 0;
		passed += passes ? frame.size() : 0;
		offered += frame.size();
	}
	CHECK(passed < offered * 9 / 10);
	CHECK(passed <= bucket + (now - second) * rate / second);
}

TEST_CASE("the firewall lets connections pass, drops strays, and judges as the tracker does")
{
	FlowBlockChain<true, ConnectionFirewall> chain(params_of(60 * second), ConnectionFirewall());
	CHECK(pass(chain, segment(1, true, 0x12, 5, 6), second).empty()); // answers no SYN
	nf::Random random{9};
	uint32_t dropped = 0, kept = 0;
	for (uint32_t number = 10; number < 200; number++) {
		std::optional<conntrack::TcpConnection> model;
		bool opener_known = false, opener = false;
		uint32_t next[2] = {static_cast<uint32_t>(random.next()),
		                    static_cast<uint32_t>(random.next())};
		const uint8_t flags[] = {0x02, 0x12, 0x10, 0x10, 0x10, 0x18, 0x11, 0x14, 0x04, 0x03};
		for (int step = 0; step < 40; step++) {
			bool reply = random.below(2);
			uint8_t f = flags[random.below(10)];
			if (step < 3) { // mostly a handshake
				reply = step == 1;
				f = step == 0 ? 0x02 : step == 1 ? 0x12 : 0x10;
			}
			const uint32_t payload = f & 0x08 ? random.below(1000) : 0;
			const uint32_t wrong = random.below(10) == 0 ? 1'000'000 : 0;
			const auto frame = segment(number, reply, f, next[reply] + wrong,
			                           f & 0x10 ? next[!reply] : 0, payload);
			if (!opener_known) {
				opener_known = true;
				opener = reply;
			}
			const auto s = conntrack::read_tcp(&frame[34], static_cast<uint32_t>(frame.size() - 34),
			                                   static_cast<uint32_t>(frame.size() - 34));
			using Outcome = conntrack::TcpConnection::Outcome;
			bool wanted = true;
			if (!model || model->state() == conntrack::TcpState::none) {
				wanted = conntrack::TcpConnection::may_begin(s);
				if (wanted) {
					model.emplace(s);
					opener = reply;
				}
			}
			if (wanted) {
				auto judged = model->add(s, reply != opener);
				if (judged.outcome == Outcome::reopened) {
					model.emplace(s);
					opener = reply;
					judged = model->add(s, false);
				}
				wanted = judged.outcome != Outcome::invalid;
				if (judged.outcome == Outcome::ended)
					model.reset();
			}
			REQUIRE(pass(chain, frame, second + step) == (wanted ? frame : std::vector<uint8_t>()));
			(wanted ? kept : dropped)++;
			if (wanted && !wrong)
				next[reply] += payload + ((f & 0x03) != 0);
		}
	}
	CHECK(kept > 1000);
	CHECK(dropped > 200);
}

TEST_CASE("the firewall's timeouts are those of Linux, by class")
{
	conntrack_params p = params_of(0);
	p.tick_ns = 100'000'000;
	ConnectionFirewall::timeouts(p);
	FlowBlockChain<true, ConnectionFirewall> chain(p, ConnectionFirewall());
	uint64_t now = second;
	pass(chain, segment(1, false, 0x02, 100, 0), now);
	pass(chain, segment(1, true, 0x12, 500, 101), now);
	pass(chain, segment(1, false, 0x10, 101, 501), now);
	pass(chain, frames::build(flow_of(2), 10, 1), now); // UDP: 30 s
	pass(chain, segment(3, false, 0x02, 7, 0), now);    // SYN: 120 s
	auto live = [&] {
		return conntrack_iterate(
			chain.table().get(), now, [](void *, const void *, void *, int) {}, nullptr);
	};
	CHECK(live() == 3);
	now += 31 * second;
	CHECK(live() == 2);
	now += 91 * second;
	CHECK(live() == 1); // established: five days
	now += 4ull * 24 * 3600 * second;
	CHECK(live() == 1);
	now += 25ull * 3600 * second;
	CHECK(live() == 0);
}

TEST_CASE("a balancer counts its servers' flows, and lets go of those that are over")
{
	auto servers = std::make_shared<const nf::Backends>(7, 1);
	FlowBlockChain<true, BlockBalancer> chain(params_of(second), BlockBalancer(servers, 1));
	uint64_t now = second;
	for (uint32_t i = 0; i < 700; i++) {
		const auto out = pass(chain, frames::build(flow_of(i), 20, 1), now);
		REQUIRE(!out.empty());
		CHECK(sums_right(out));
		CHECK(pass(chain, frames::build(flow_of(i), 20, 1), now) == out);
	}
	auto sum = [&](auto member) {
		uint64_t all = 0;
		for (const SharedCounts &c : chain.function<0>().counts)
			all += (c.*member).load();
		return all;
	};
	CHECK(sum(&SharedCounts::flows) == 700);
	CHECK(sum(&SharedCounts::packets) == 1400);
	now += 3 * second;
	for (int i = 0; i < 2000; i++)
		chain.table().sweep(now += 1'000'000);
	CHECK(sum(&SharedCounts::flows) == 0);
	CHECK(sum(&SharedCounts::packets) == 1400);
}

TEST_CASE("sources are counted by several cores at once, each source in one place")
{
	constexpr uint32_t nb_sources = 300, rounds = 40'000;
	auto sources = std::make_shared<Sources>(nb_sources + 50);
	std::vector<std::thread> threads;
	for (uint32_t t = 0; t < 3; t++)
		threads.emplace_back([&, t] {
			nf::Random random{t + 1};
			for (uint32_t i = 0; i < rounds; i++)
				sources->at(sources->place_of(random.below(nb_sources) + 1)).add(1, 60, true);
		});
	for (std::thread &t : threads)
		t.join();
	uint64_t packets = sources->at(0).packets;
	std::set<const SharedCounts *> places;
	for (uint32_t s = 1; s <= nb_sources; s++) {
		const SharedCounts *counts = sources->find(s);
		REQUIRE(counts);
		CHECK(places.insert(counts).second);
		packets += counts->packets;
	}
	CHECK(packets == 3ull * rounds);
	CHECK(sources->at(0).packets == 0);
	// Without room for more: the first place counts them together.
	auto few = std::make_shared<Sources>(2);
	CHECK(few->place_of(1) == 1);
	CHECK(few->place_of(2) == 2);
	CHECK(few->place_of(3) == 0);
	CHECK(few->place_of(1) == 1);
}
