// What the box does to flows: translation in both directions, what it lets in and out, the firewall.
#include "dpdk/suite/flow_work.hpp"
#include "eal.hpp"
#include "packet/checksum.hpp"
#include "packet/flow_key.hpp"

#include <memory>
#include <set>

using namespace reframer;
using namespace reframer::test;
using dpdk::FirewallRule;
using dpdk::FlowFunction;
using dpdk::FlowWork;
using dpdk::FlowWorkConfig;

namespace {

constexpr uint16_t inside = 0, outside = 1; // ports
constexpr uint32_t first_address = 192u << 24 | 2 << 8 | 250;

// A core's share of all buckets and endpoints.
struct Share {
	uint32_t nb_buckets = 64, at = 0, of = 1;
	uint64_t seed = 7;
};

struct Box {
	explicit Box(FlowWorkConfig given, const Share &share = {})
		: config(std::move(given)), ports(share.nb_buckets, share.at, share.of)
	{
		eal();
		config.both_ways = true;
		config.inside_port = inside;
		config.nb_buckets = share.nb_buckets;
		config.nat_address = first_address;
		travelling.resize(share.nb_buckets);
		work = std::make_unique<FlowWork>(config, &ports, travelling, share.seed,
		                                  [](uint32_t) { return true; });
	}
	// The frame as it leaves; empty: dropped.
	Bytes pass(const Bytes &frame, uint16_t port)
	{
		const std::vector<Bytes> out = pass({{frame, port}});
		return out.empty() ? Bytes() : out.front();
	}
	// The same of a burst: those that leave.
	std::vector<Bytes> pass(const std::vector<std::pair<Bytes, uint16_t>> &frames)
	{
		const auto n = uint32_t(frames.size());
		std::vector<rte_mbuf *> packets, dropped(n);
		for (const auto &[frame, port] : frames) {
			rte_mbuf *packet = rte_pktmbuf_alloc(eal().pool);
			REQUIRE(packet != nullptr);
			std::memcpy(rte_pktmbuf_append(packet, uint16_t(frame.size())), frame.data(),
			            frame.size());
			packet->port = port;
			const packet::Headers h =
				packet::parse(frame.data(), uint32_t(frame.size()), 0, packet::LinkType::ethernet,
			                  packet::Depth::outer);
			packet->hash.rss = toeplitz(packet::rss_key_of(h, frame.data()));
			packet->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
			packets.push_back(packet);
		}
		const uint32_t kept = work->process(packets.data(), n, now += 1000, dropped.data());
		std::vector<Bytes> out;
		for (uint32_t i = 0; i < kept; i++)
			out.emplace_back(rte_pktmbuf_mtod(packets[i], uint8_t *),
			                 rte_pktmbuf_mtod(packets[i], uint8_t *) + packets[i]->data_len);
		rte_pktmbuf_free_bulk(packets.data(), kept);
		rte_pktmbuf_free_bulk(dropped.data(), n - kept);
		return out;
	}
	uint64_t untranslated() const { return work->counts().untranslated; }
	uint64_t denied() const { return work->counts().denied; }

	FlowWorkConfig config;
	dpdk::NatPorts ports;
	dpdk::Travelling travelling;
	packet::Toeplitz toeplitz{packet::toeplitz_key_symmetric};
	std::unique_ptr<FlowWork> work;
	uint64_t now = 1'000'000'000;
};

FlowWorkConfig chain(std::vector<FlowFunction> functions, std::vector<FirewallRule> rules = {})
{
	FlowWorkConfig config;
	config.chain = std::move(functions);
	config.rules = std::move(rules);
	config.nat_addresses = 16;
	config.max_flows = 4096;
	return config;
}

Bytes frame(const std::string &from, const std::string &to, const Segment &content)
{
	return ethernet(type_ipv4, ipv4({.source = from, .destination = to}, content));
}

uint32_t address_at(const Bytes &f, size_t at)
{
	return uint32_t{f[at]} << 24 | uint32_t{f[at + 1]} << 16 | uint32_t{f[at + 2]} << 8 | f[at + 3];
}
uint32_t source_of(const Bytes &f)
{
	return address_at(f, 26);
}
uint32_t destination_of(const Bytes &f)
{
	return address_at(f, 30);
}
uint16_t word(const Bytes &f, size_t at)
{
	return uint16_t(f[at] << 8 | f[at + 1]);
}
// The same bytes with sums computed anew.
Bytes summed(Bytes f)
{
	Bytes ip(f.begin() + 14, f.end());
	packet::put_be16(ip.data() + 10, 0);
	packet::put_be16(ip.data() + 10, packet::checksum_ipv4(ip.data()));
	packet::put_be16(ip.data() + 20 + (ip[9] == 6 ? 16 : 6), 0);
	set_l4_checksum(ip, 20, ip[9]);
	std::copy(ip.begin(), ip.end(), f.begin() + 14);
	return f;
}
// What its receiver answers.
Bytes answer_to(const Bytes &f, bool is_tcp)
{
	const auto text = [](uint32_t a) {
		return std::to_string(a >> 24) + "." + std::to_string(a >> 16 & 255) + "." +
		       std::to_string(a >> 8 & 255) + "." + std::to_string(a & 255);
	};
	const uint16_t from = word(f, 36), to = word(f, 34);
	return frame(text(destination_of(f)), text(source_of(f)),
	             is_tcp ? tcp({.source = from, .destination = to})
	                    : udp({.source = from, .destination = to, .payload = Bytes(20, 1)}));
}

FirewallRule deny(FirewallRule rule = {})
{
	return rule;
}

} // namespace

TEST_CASE("flows of both protocols are translated, their answers find back, sums are right")
{
	Box box(chain({FlowFunction::nat}));
	std::set<uint32_t> addresses;
	std::set<std::pair<uint32_t, uint16_t>> endpoints;
	for (uint16_t i = 0; i < 400; i++) {
		const bool is_tcp = i % 2;
		const std::string host = "10.0.0." + std::to_string(1 + i % 200);
		const Bytes sent =
			frame(host, "198.51.100.7",
		          is_tcp ? tcp({.source = uint16_t(2000 + i)})
		                 : udp({.source = uint16_t(2000 + i), .payload = Bytes(20, 1)}));
		const Bytes out = box.pass(sent, inside);
		REQUIRE(out.size() == sent.size());
		addresses.insert(source_of(out));
		CHECK(endpoints.insert({source_of(out), uint16_t(word(out, 34) << 1 | is_tcp)}).second);
		CHECK(source_of(out) - first_address < 16);
		CHECK(out == summed(out));
		CHECK(box.pass(sent, inside) == out);
		const Bytes answer = answer_to(out, is_tcp), back = box.pass(answer, outside);
		REQUIRE(back.size() == answer.size());
		CHECK(destination_of(back) == source_of(sent));
		CHECK(word(back, 36) == 2000 + i);
		CHECK(back == summed(back));
	}
	// Beyond 192.0.2.255, too.
	CHECK(addresses.size() == 16);
	CHECK(*addresses.rbegin() == (192u << 24 | 3 << 8 | 9));
	CHECK(box.work->counts().translated == 1200);
	CHECK(box.untranslated() == 0);
}

TEST_CASE("with NAT nothing of IPv4 goes out untranslated, nothing comes in unasked")
{
	Box box(chain({FlowFunction::nat}));
	const Bytes sent = frame("10.0.0.1", "198.51.100.7", tcp());
	const Bytes out = box.pass(sent, inside);
	CHECK(box.work->totals().live == 1);
	const auto drops = [&](const Bytes &f, uint16_t port) {
		const uint64_t before = box.untranslated();
		CHECK(box.pass(f, port).empty());
		CHECK(box.untranslated() == before + 1);
	};
	const Bytes echo = {8, 0, 0, 0, 0, 1, 0, 1};
	drops(frame("10.0.0.1", "198.51.100.7", segment(1, echo)), inside);
	drops(frame("10.0.0.1", "198.51.100.7", segment(50, Bytes(40, 1))), inside);
	for (const uint16_t offset : {0, 16})
		drops(ethernet(type_ipv4, ipv4({.source = "10.0.0.1",
		                                .destination = "198.51.100.7",
		                                .fragment_offset = offset,
		                                .more_fragments = true},
		                               udp({.payload = Bytes(40, 1)}))),
		      inside);
	// To somebody else's endpoint; to the host behind it, around the NAT; to the endpoint from inside.
	drops(frame("203.0.113.5", "192.0.2.250", udp({.payload = Bytes(20, 1)})), outside);
	drops(frame("198.51.100.7", "10.0.0.1", tcp({.source = 80, .destination = 1000})), outside);
	drops(frame("198.51.100.7", "192.0.2.250", segment(1, echo)), outside);
	drops(answer_to(out, true), inside);
	drops(sent, outside);
	drops(out, outside);
	// None of them began a flow.
	CHECK(box.work->totals().began == 1);
	// What is no IPv4 is none of its business.
	const Bytes arp = ethernet(type_arp, Bytes(46, 1));
	const Bytes six = ethernet(type_ipv6, ipv6({}, tcp()));
	for (const uint16_t port : {inside, outside}) {
		CHECK(box.pass(arp, port) == arp);
		CHECK(box.pass(six, port) == six);
	}
	CHECK(!box.pass(answer_to(out, true), outside).empty());
}

TEST_CASE("the firewall judges every IP packet")
{
	Box box(chain({FlowFunction::firewall},
	              {deny({.protocol = 17, .first_port = 9, .last_port = 9}),
	               {.allow = true, .protocol = 17, .first_port = 53, .last_port = 53},
	               deny({.protocol = 6, .destination_bits = 24, .destination = {198, 51, 100, 0}}),
	               deny({.protocol = 1})}));
	const auto passes = [&](const Bytes &f) { return !box.pass(f, inside).empty(); };
	const auto of = [](uint16_t port) {
		return udp({.destination = port, .payload = Bytes(40, 1)});
	};
	CHECK(!passes(frame("10.0.0.1", "203.0.113.5", of(9))));
	CHECK(passes(frame("10.0.0.1", "203.0.113.5", of(53))));
	CHECK(passes(frame("10.0.0.1", "203.0.113.5", of(10))));
	CHECK(!passes(frame("10.0.0.1", "198.51.100.7", tcp())));
	CHECK(passes(frame("10.0.0.1", "198.51.101.7", tcp())));
	CHECK(!passes(frame("10.0.0.1", "203.0.113.5", segment(1, Bytes(8, 0)))));
	CHECK(passes(frame("10.0.0.1", "203.0.113.5", segment(50, Bytes(40, 1)))));
	CHECK(box.denied() == 3);
	SUBCASE("fragments: with ports like any other, without them as the strictest rule says")
	{
		const auto fragment = [&](uint16_t offset, const Segment &content) {
			return ethernet(type_ipv4, ipv4({.source = "10.0.0.1",
			                                 .destination = "203.0.113.5",
			                                 .fragment_offset = offset,
			                                 .more_fragments = true},
			                                content));
		};
		CHECK(!passes(fragment(0, of(9))));
		CHECK(passes(fragment(0, of(53))));
		CHECK(!passes(fragment(64, of(53))));
		CHECK(passes(fragment(64, tcp({.payload = Bytes(40, 1)}))));
		// Nobody knows whether it is one of those that are allowed.
		Box strict(chain({FlowFunction::firewall},
		                 {{.allow = true, .protocol = 17, .first_port = 53, .last_port = 53},
		                  deny({.protocol = 17})}));
		CHECK(!strict.pass(fragment(0, of(53)), inside).empty());
		CHECK(strict.pass(fragment(64, of(53)), inside).empty());
	}
	SUBCASE("IPv6: rules for any address hold")
	{
		const auto six = [](const Segment &s) { return ethernet(type_ipv6, ipv6({}, s)); };
		CHECK(!passes(six(of(9))));
		CHECK(passes(six(of(53))));
		CHECK(passes(six(tcp())));
	}
	SUBCASE("both directions of a flow have the verdict of its first packet")
	{
		CHECK(!box.pass(frame("203.0.113.5", "10.0.0.1", udp({.source = 53, .destination = 1000})),
		                outside)
		           .empty());
		CHECK(box.pass(frame("203.0.113.5", "10.0.0.1", udp({.source = 9, .destination = 1000})),
		               outside)
		          .empty());
	}
	SUBCASE("what is no IP passes")
	{
		CHECK(passes(ethernet(type_arp, Bytes(46, 1))));
	}
}

TEST_CASE("rules behind NAT see what it makes; what they refuse is not answered either")
{
	FlowWorkConfig config =
		chain({FlowFunction::nat, FlowFunction::firewall},
	          {deny({.protocol = 17, .source_bits = 8, .source = {10, 0, 0, 0}}),
	           deny({.protocol = 6, .source_bits = 16, .source = {192, 0, 0, 0}})});
	config.nat_addresses = 1;
	Box box(config);
	const Bytes datagram = frame("10.0.0.1", "198.51.100.7", udp({.payload = Bytes(20, 1)}));
	const Bytes out = box.pass(datagram, inside);
	REQUIRE(!out.empty());
	CHECK(!box.pass(answer_to(out, false), outside).empty());
	CHECK(box.pass(frame("10.0.0.1", "198.51.100.7", tcp()), inside).empty());
	CHECK(box.denied() == 1);
	// The endpoint that it got before is shut: of all that might be, that one alone is known, and denied.
	for (uint32_t port = 1024; port < 65536; port++)
		box.pass(frame("198.51.100.7", "192.0.2.250",
		               tcp({.source = 80, .destination = uint16_t(port)})),
		         outside);
	CHECK(box.denied() == 2);
}

TEST_CASE("rules before NAT see what comes, and flows that they refuse take no endpoint")
{
	Box box(chain({FlowFunction::firewall, FlowFunction::nat},
	              {deny({.protocol = 17, .source_bits = 8, .source = {10, 0, 0, 0}})}));
	CHECK(box.pass(frame("10.0.0.1", "198.51.100.7", udp({.payload = Bytes(20, 1)})), inside)
	          .empty());
	CHECK(box.work->totals().live == 1);
	CHECK(box.work->counts().replies_began == 0);
	CHECK(!box.pass(frame("10.0.0.1", "198.51.100.7", tcp()), inside).empty());
	CHECK(box.work->totals().live == 2);
	CHECK(box.work->counts().replies_began == 1);
}

TEST_CASE("answers find their flows while others begin in the same burst")
{
	// A table that fills: what begins makes room for itself by moving others.
	FlowWorkConfig config =
		chain({FlowFunction::firewall, FlowFunction::nat}, {deny({.protocol = 17})});
	config.max_flows = 512;
	for (uint64_t seed = 1; seed <= 16; seed++) {
		Box box(config, {.nb_buckets = 1, .seed = seed});
		constexpr uint16_t nb_known = 32;
		std::vector<Bytes> answers;
		for (uint16_t i = 0; i < nb_known; i++)
			answers.push_back(answer_to(
				box.pass(frame("10.0.0.1", "198.51.100.7", tcp({.source = uint16_t(2000 + i)})),
			             inside),
				true));
		uint16_t next = 1024;
		while (box.work->totals().live + 2 * nb_known <= int64_t(config.max_flows)) {
			std::vector<std::pair<Bytes, uint16_t>> burst;
			for (const Bytes &answer : answers) {
				burst.push_back({answer, outside});
				burst.push_back({frame("10.0.0.2", "203.0.113.5",
				                       udp({.source = next++, .payload = Bytes(20, 1)})),
				                 inside});
			}
			const std::vector<Bytes> back = box.pass(burst);
			REQUIRE(back.size() == nb_known);
			for (uint16_t i = 0; i < nb_known; i++) {
				CHECK(destination_of(back[i]) == (10u << 24 | 1));
				CHECK(word(back[i], 36) == 2000 + i);
			}
		}
		CHECK(box.untranslated() == 0);
	}
}

TEST_CASE("cores without buckets give no endpoint away twice")
{
	Box boxes[] = {Box(chain({FlowFunction::nat}), {.nb_buckets = 1, .at = 0, .of = 2}),
	               Box(chain({FlowFunction::nat}), {.nb_buckets = 1, .at = 1, .of = 2})};
	std::set<std::pair<uint32_t, uint16_t>> endpoints;
	for (uint16_t i = 0; i < 400; i++)
		for (uint32_t core = 0; core < 2; core++) {
			const Bytes out =
				boxes[core].pass(frame("10.0." + std::to_string(core) + ".1", "198.51.100.7",
			                           tcp({.source = uint16_t(2000 + i)})),
			                     inside);
			REQUIRE(!out.empty());
			CHECK(word(out, 34) >= dpdk::NatPorts::first_port);
			CHECK(endpoints.insert({source_of(out), word(out, 34)}).second);
		}
}

TEST_CASE("what began has left or is live, with and without NAT, however it left")
{
	for (const bool nat : {false, true}) {
		FlowWorkConfig config = chain({nat ? FlowFunction::nat : FlowFunction::firewall});
		config.max_flows = 256;
		Box box(config, {.nb_buckets = 1});
		constexpr int64_t nb_flows = 100;
		const auto come = [&](uint16_t first) {
			for (uint16_t i = 0; i < nb_flows; i++)
				CHECK(!box.pass(frame("10.0.0.1", "198.51.100.7",
				                      tcp({.source = uint16_t(first + i)})),
				                inside)
				           .empty());
		};
		const auto check = [&](int64_t began, int64_t left) {
			const dpdk::FlowTotals t = box.work->totals();
			CHECK(t.began == began);
			CHECK(t.left == left);
			CHECK(t.live == began - left);
		};
		come(2000);
		check(nb_flows, 0);
		come(2000);
		check(nb_flows, 0);
		// All are over, and nobody has looked. Some are found when their places are needed, some when
		// they come again, the rest by the sweep.
		box.now += 2 * config.timeout_ns;
		come(2050);
		const dpdk::FlowTotals t = box.work->totals();
		CHECK(t.began == 2 * nb_flows);
		CHECK(t.live == t.began - t.left);
		for (uint32_t i = 0; i < 2000; i++) {
			box.now += 10'000'000;
			box.work->sweep(box.now);
		}
		check(2 * nb_flows, nb_flows);
	}
}
