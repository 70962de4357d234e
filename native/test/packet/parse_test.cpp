#include "packet/cases.hpp"

#include "packet/flow_key.hpp"
#include "packet/fragment_table.hpp"
#include "packet/parse.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace reframer::packet;
using namespace reframer::test;

namespace {

Headers parse_of(const Bytes &frame, Depth depth = Depth::outer, LinkType link = LinkType::ethernet)
{
	const auto size = static_cast<uint32_t>(frame.size());
	return parse(frame.data(), size, size, link, depth);
}

} // namespace

TEST_CASE("every kind of frame gives the key that it should")
{
	for (const Case &c : all_cases()) {
		CAPTURE(c.name);
		const Headers outer = parse_of(c.frame, Depth::outer, c.link);
		CHECK(to_string(flow_key_of(outer, c.frame.data())) == c.outer);
		const Headers inner = parse_of(c.frame, Depth::innermost, c.link);
		CHECK(to_string(flow_key_of(inner, c.frame.data())) ==
		      (c.inner.empty() ? c.outer : c.inner));
	}
}

TEST_CASE("names of cases are unique")
{
	std::set<std::string> names;
	for (const Case &c : all_cases())
		CHECK(names.insert(c.name).second);
}

TEST_CASE("offsets and fields of a tagged TCP frame with options")
{
	const Bytes frame = ethernet(
		type_service_vlan,
		vlan(0x6007, type_vlan,
	         vlan(8, type_ipv4,
	              ipv4({.tos = 46 << 2 | 1, .ttl = 9, .options = Bytes(4, 1)},
	                   tcp({.flags = 0x118, .options = Bytes(12, 1), .payload = Bytes(5, 1)})))));
	const Headers h = parse_of(frame);
	CHECK(h.has_ethernet);
	CHECK(h.nb_vlan == 2);
	CHECK(h.vlan[0] == 0x6007);
	CHECK(h.vlan[1] == 8);
	CHECK(h.ether_type == type_ipv4);
	CHECK(h.l3 == 22);
	CHECK(h.l4 == 46);
	CHECK(h.payload == 78);
	CHECK(h.payload_length == 5);
	CHECK(h.version == 4);
	CHECK(h.protocol == 6);
	CHECK(h.dscp == 46);
	CHECK(h.ecn == 1);
	CHECK(h.ttl == 9);
	CHECK(h.tcp_flags == 0x118);
	CHECK(h.source_port == 1000);
	CHECK(h.destination_port == 80);
	CHECK(h.flags == (header_ports | header_tcp_flags | header_payload));
}

TEST_CASE("padding of the link is not payload")
{
	const Headers h = parse_of(join({ethernet(type_ipv4, ipv4({}, tcp())), Bytes(6, 0)}));
	CHECK(h.payload_length == 0);
	CHECK(h.payload == 54);
}

TEST_CASE("a length of zero reaches to the end of the frame, on the wire")
{
	const Bytes frame = ethernet(type_ipv4, ipv4({.length = 0}, tcp({.payload = Bytes(100, 1)})));
	const Headers h = parse(frame.data(), 60, 80000, LinkType::ethernet, Depth::outer);
	CHECK(h.payload_length == 80000 - 54);
	CHECK(h.flags == (header_ports | header_tcp_flags | header_payload | header_length_unstated));
}

TEST_CASE("lengths that lie are said to be malformed")
{
	const auto flags = [](const Bytes &frame) { return parse_of(frame).flags; };
	CHECK((flags(ethernet(type_ipv4, ipv4({.length = 9000}, tcp()))) & header_malformed) != 0);
	CHECK((flags(ethernet(type_ipv4, ipv4({.length = 12}, tcp()))) & header_malformed) != 0);
	CHECK((flags(ethernet(type_ipv4, ipv4({.length = 22}, tcp()))) & header_malformed) != 0);
	CHECK((flags(ethernet(type_ipv4, ipv4({}, tcp({.header_words = 15})))) & header_malformed) !=
	      0);
	CHECK((flags(ethernet(type_ipv6, ipv6({.length = 9000}, tcp()))) & header_malformed) != 0);
	CHECK((flags(ethernet(type_ipv4, ipv4({}, tcp()))) & header_malformed) == 0);
}

TEST_CASE("a frame that was cut is truncated, not malformed")
{
	const Bytes frame = ethernet(type_ipv4, ipv4({}, tcp({.payload = Bytes(100, 1)})));
	const auto wire = static_cast<uint32_t>(frame.size());
	const Headers h = parse(frame.data(), 40, wire, LinkType::ethernet, Depth::outer);
	CHECK((h.flags & header_truncated) != 0);
	CHECK((h.flags & header_malformed) == 0);
	CHECK((h.flags & header_ports) != 0);
	CHECK((h.flags & header_tcp_flags) == 0);
	CHECK(to_string(flow_key_of(h, frame.data())) == "tcp 10.0.0.1:1000 > 10.0.0.2:80");
	// Ports cut: the addresses and the protocol still make a key.
	const Headers less = parse(frame.data(), 37, wire, LinkType::ethernet, Depth::outer);
	CHECK(to_string(flow_key_of(less, frame.data())) == "tcp 10.0.0.1 > 10.0.0.2");
}

TEST_CASE("tunnels are counted and named")
{
	const Bytes inner = ipv6({}, udp());
	const Bytes frame = ethernet(type_ipv4, ipv4({}, gre({}, ipv4({}, gtpu(1, inner, 1)))));
	const Headers h = parse_of(frame, Depth::innermost);
	CHECK(h.tunnel_depth == 2);
	CHECK(h.tunnel == Tunnel::gtpu);
	CHECK(h.version == 6);
	CHECK(h.l3 == frame.size() - inner.size());
	CHECK(parse_of(frame).tunnel_depth == 0);
	const Bytes arp = ethernet(type_ipv4, ipv4({}, vxlan(1, ethernet(type_arp, Bytes(46, 0)))));
	CHECK((parse_of(arp, Depth::innermost).flags & header_inner_unread) != 0);
}

TEST_CASE("a cut inner header leaves the outer key")
{
	const Bytes frame =
		ethernet(type_ipv4, ipv4({}, vxlan(1, ethernet(type_ipv4, ipv4({}, tcp())))));
	for (uint32_t size = 14 + 20 + 8; size < 14 + 20 + 8 + 8 + 14 + 20; size++) {
		const Headers h = parse(frame.data(), size, static_cast<uint32_t>(frame.size()),
		                        LinkType::ethernet, Depth::innermost);
		CHECK(h.tunnel_depth == 0);
		CHECK(h.l3 == 14);
		CHECK(h.destination_port == 4789);
	}
}

TEST_CASE("a key is the same for both directions after symmetric(), and text is stable")
{
	const auto key = [](const Bytes &frame) { return flow_key_of(parse_of(frame), frame.data()); };
	const FlowKey there = key(ethernet(type_ipv4, ipv4({}, tcp({.source = 9, .destination = 80}))));
	const FlowKey back =
		key(ethernet(type_ipv4, ipv4({.source = "10.0.0.2", .destination = "10.0.0.1"},
	                                 tcp({.source = 80, .destination = 9}))));
	CHECK(there != back);
	CHECK(reversed(there) == back);
	CHECK(symmetric(there) == symmetric(back));
	CHECK(symmetric(symmetric(there)) == symmetric(there));
	const FlowKey esp1 = key(ethernet(type_ipv4, ipv4({}, esp(1))));
	const FlowKey esp2 =
		key(ethernet(type_ipv4, ipv4({.source = "10.0.0.2", .destination = "10.0.0.1"}, esp(2))));
	CHECK(symmetric(esp1) == symmetric(esp2));
	CHECK(to_string(grouping_key(there, KeyKind::destination)) == "to 10.0.0.2");
}

TEST_CASE("later fragments are counted with the ports of the first")
{
	const auto fragment = [](uint32_t id, uint16_t offset, const Segment &s) {
		return ethernet(type_ipv4,
		                ipv4({.id = id, .fragment_offset = offset, .more_fragments = true}, s));
	};
	const Bytes first = fragment(1, 0, udp({.payload = Bytes(16, 0)}));
	const Bytes later = fragment(1, 24, segment(17, Bytes(8, 0)));
	const Bytes orphan = fragment(2, 24, segment(17, Bytes(8, 0)));
	FragmentTable table(64);
	const auto flow = [&](const Bytes &frame) {
		return to_string(table.flow_of(parse_of(frame), frame.data()).tuple);
	};
	auto early = table.flow_of(parse_of(later), later.data());
	CHECK_FALSE(early.known);
	CHECK_FALSE(table.look_up(early));
	CHECK(flow(later) == "udp 10.0.0.1 > 10.0.0.2");
	CHECK(flow(first) == "udp 10.0.0.1:1000 > 10.0.0.2:2000");
	CHECK(flow(later) == "udp 10.0.0.1:1000 > 10.0.0.2:2000");
	CHECK(flow(orphan) == "udp 10.0.0.1 > 10.0.0.2");
	CHECK(table.look_up(early));
	CHECK(to_string(early.tuple) == "udp 10.0.0.1:1000 > 10.0.0.2:2000");
}

TEST_CASE(
	"a later fragment has an offset in bytes and no ports, whatever its first bytes look like")
{
	const Bytes four = ethernet(
		type_ipv4, ipv4({.id = 3, .fragment_offset = 1480, .more_fragments = true}, udp({})));
	const Headers h = parse_of(four);
	CHECK(h.fragment_offset == 1480);
	CHECK((h.flags & header_fragment) != 0);
	CHECK((h.flags & header_ports) == 0);
	CHECK(h.source_port == 0);
	CHECK(h.destination_port == 0);
	const Headers first =
		parse_of(ethernet(type_ipv4, ipv4({.id = 3, .more_fragments = true}, udp({}))));
	CHECK(first.fragment_offset == 0);
	CHECK((first.flags & header_ports) != 0);
}
