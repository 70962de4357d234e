#include "packet/classify.hpp"
#include "packet/flow_key.hpp"
#include "packet/fragment_flows.hpp"
#include "packet/toeplitz.hpp"
#include "support/packet_builder.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace reframer::packet;
using namespace reframer::test;

namespace {

constexpr KeyKind all_kinds[] = {KeyKind::five_tuple, KeyKind::symmetric, KeyKind::destination,
                                 KeyKind::inner};

Digest classify_of(const Bytes &frame, KeyKind kind = KeyKind::five_tuple)
{
	return classify(frame.data(), static_cast<uint32_t>(frame.size()), LinkType::ethernet, kind, 7);
}

Fragment fragment_of(const Bytes &frame, KeyKind kind = KeyKind::five_tuple)
{
	return read_fragment(frame.data(), static_cast<uint32_t>(frame.size()), LinkType::ethernet,
	                     kind, 7);
}

Bytes first4(uint32_t id, const Segment &s)
{
	return ethernet(type_ipv4, ipv4({.id = id, .more_fragments = true}, s));
}
Bytes later4(uint32_t id, uint16_t offset, bool more, uint8_t protocol, size_t bytes = 24)
{
	return ethernet(type_ipv4, ipv4({.id = id, .fragment_offset = offset, .more_fragments = more},
	                                segment(protocol, Bytes(bytes, 5))));
}
Bytes first6(uint32_t id, const Segment &s)
{
	return ethernet(type_ipv6, ipv6({}, fragment6(id, 0, true, s)));
}
Bytes later6(uint32_t id, uint16_t offset, bool more, uint8_t next = 17)
{
	return ethernet(type_ipv6, ipv6({}, fragment6(id, offset, more, segment(next, Bytes(24, 5)))));
}

} // namespace

TEST_CASE("a first fragment is grouped as whole packets of its flow are")
{
	for (const KeyKind kind : all_kinds)
		for (const Segment &s :
		     {udp({.payload = Bytes(16, 1)}), tcp({.payload = Bytes(12, 1)}), esp(77),
		      ah(78, tcp()), sctp(5, 6), gre({}, Bytes(24, 0)), icmp(8, Bytes(20, 0))}) {
			CAPTURE(static_cast<int>(kind));
			CAPTURE(s.protocol);
			const Digest whole = classify_of(ethernet(type_ipv4, ipv4({}, s)), kind);
			const Digest first = classify_of(first4(9, s), kind);
			CHECK(first.hash == whole.hash);
			CHECK(!(first.traits & trait_fragment) == (kind == KeyKind::destination));
			CHECK(classify_of(first6(9, s), kind).hash ==
			      classify_of(ethernet(type_ipv6, ipv6({}, s)), kind).hash);
		}
}

TEST_CASE("later fragments name the datagram that the first one names")
{
	for (const KeyKind kind : {KeyKind::five_tuple, KeyKind::symmetric, KeyKind::inner}) {
		const Fragment first = fragment_of(first4(1, udp({.payload = Bytes(16, 0)})), kind);
		const Fragment second = fragment_of(later4(1, 24, true, 17), kind);
		const Fragment last = fragment_of(later4(1, 48, false, 17), kind);
		CHECK(first.first);
		CHECK_FALSE(second.first);
		CHECK(first.datagram == second.datagram);
		CHECK(first.datagram == last.datagram);
		CHECK(first.datagram != fragment_of(later4(2, 24, true, 17), kind).datagram);
		CHECK(first.datagram != fragment_of(later4(1, 24, true, 6), kind).datagram);
		const Fragment six = fragment_of(first6(5, udp({.payload = Bytes(16, 0)})), kind);
		CHECK(six.datagram == fragment_of(later6(5, 24, true), kind).datagram);
		// Only the first one's next header counts (RFC 8200, section 4.5).
		CHECK(six.datagram == fragment_of(later6(5, 24, true, 60), kind).datagram);
		CHECK(six.datagram != fragment_of(later6(6, 24, true), kind).datagram);
	}
}

TEST_CASE("a tunnel's first fragment has the inner flow, and the others follow the outer packet")
{
	const Bytes inner =
		ethernet(type_ipv4, ipv4({.source = "192.168.0.1"}, tcp({.payload = Bytes(400, 1)})));
	const Segment tunnel = vxlan(5, inner);
	const uint32_t flow = classify_of(ethernet(type_ipv4, ipv4({}, tunnel)), KeyKind::inner).hash;
	const Bytes head(tunnel.bytes.begin(), tunnel.bytes.begin() + 200);
	const Bytes first = first4(3, segment(17, head));
	CHECK(classify_of(first, KeyKind::inner).hash == flow);
	CHECK((classify_of(first, KeyKind::inner).traits & trait_fragment) != 0);
	CHECK((classify_of(first, KeyKind::inner).traits & trait_pure_ack) == 0);
	CHECK(fragment_of(first, KeyKind::inner).flow_hash == flow);
	CHECK(fragment_of(first, KeyKind::inner).datagram ==
	      fragment_of(later4(3, 200, false, 17), KeyKind::inner).datagram);
}

TEST_CASE("NICs hash every fragment by its addresses")
{
	const auto rss = [](const Bytes &frame) {
		const auto size = static_cast<uint32_t>(frame.size());
		const Headers h = parse(frame.data(), size, size, LinkType::ethernet, Depth::outer);
		return Toeplitz(toeplitz_key_microsoft)(rss_key_of(h, frame.data()));
	};
	const uint32_t by_addresses = rss(ethernet(type_ipv4, ipv4({}, icmp(8, Bytes(20, 0)))));
	CHECK(rss(first4(1, udp())) == by_addresses);
	CHECK(rss(first4(1, tcp())) == by_addresses);
	CHECK(rss(later4(1, 24, false, 17)) == by_addresses);
	CHECK(rss(ethernet(type_ipv4, ipv4({}, udp()))) != by_addresses);
	CHECK(rss(first6(1, udp())) == rss(later6(1, 24, false)));
	CHECK(rss(first6(1, udp())) != rss(ethernet(type_ipv6, ipv6({}, udp()))));
}

TEST_CASE("a datagram is known for a minute, and its duplicates too")
{
	std::vector<Datagram> storage(64);
	FragmentFlows flows;
	flows.init(storage.data(), 64);
	uint32_t evicted = 0;
	const auto see = [&](const Bytes &frame, uint64_t now) {
		const Fragment fragment = fragment_of(frame);
		Datagram &entry = flows.find(fragment, now, [&](const Datagram &) { evicted++; });
		FragmentFlows::note(entry, fragment);
		return entry.flow_known ? entry.flow_hash : 0;
	};
	const Bytes first = first4(1, udp({.payload = Bytes(16, 0)}));
	const uint32_t flow = classify_of(first).hash;
	CHECK(see(later4(1, 48, false, 17), 10) == 0);
	CHECK(see(first, 20) == flow);
	CHECK(see(later4(1, 24, true, 17), 1'000'000'000) == flow);
	CHECK(see(later4(1, 24, true, 17), 60'000'000'000) == flow);
	CHECK(see(later4(1, 24, true, 17), 120'000'000'001) == 0);
	for (uint32_t id = 100; id < 1000; id++)
		see(first4(id, udp()), 5);
	CHECK(evicted >= 900 - 64);
}

TEST_CASE("who is pushed out is who was quiet longest, also while time stands still")
{
	std::vector<Datagram> storage(FragmentFlows::ways);
	FragmentFlows flows;
	flows.init(storage.data(), FragmentFlows::ways);
	const auto known = [&](const Bytes &frame) {
		const Fragment fragment = fragment_of(frame);
		Datagram &entry = flows.find(fragment, 7, [](const Datagram &) {});
		FragmentFlows::note(entry, fragment);
		return entry.flow_known;
	};
	for (const uint32_t id : {1, 2, 3, 4})
		known(first4(id, udp()));
	CHECK(known(later4(1, 24, true, 17)));
	known(first4(5, udp())); // in the place of 2
	for (const uint32_t id : {1, 3, 4, 5})
		CHECK(known(later4(id, 48, true, 17)));
	CHECK_FALSE(known(later4(2, 24, true, 17)));
}
