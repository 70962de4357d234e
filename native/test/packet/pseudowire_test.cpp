// MPLS does not name what it carries: Ethernet whose first address begins with 4 or 6 is not IP.
#include "packet/classify.hpp"
#include "support/packet_builder.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace reframer::packet;
using namespace reframer::test;

namespace {

Digest classify_of(const Bytes &frame, KeyKind kind = KeyKind::five_tuple)
{
	return classify(frame.data(), static_cast<uint32_t>(frame.size()), LinkType::ethernet, kind, 7);
}

// One inner flow, datagrams of many lengths.
std::set<uint32_t> groups_of(const Mac &mac, bool control_word)
{
	std::set<uint32_t> hashes;
	for (uint32_t i = 0; i < 200; i++) {
		Bytes inside =
			ethernet(type_ipv4, ipv4({.id = i}, udp({.payload = Bytes(i * 7, 'i')})), mac);
		if (control_word)
			inside = join({{0, 0}, be16_bytes(i), inside});
		const Bytes frame = ethernet(type_mpls, mpls(100, false, mpls(200, true, inside)));
		const Digest digest = classify_of(frame);
		CHECK((digest.traits & (trait_ipv4 | trait_ipv6 | trait_udp)) == 0);
		CHECK((digest.traits & trait_unparsed) == 0);
		hashes.insert(digest.hash);
	}
	return hashes;
}

} // namespace

TEST_CASE("a pseudowire is one group, whatever its addresses begin with")
{
	for (const uint8_t first : {0x00, 0x40, 0x45, 0x48, 0x4c, 0x60, 0x64, 0x6c, 0x6f})
		for (const uint8_t last : {0, 1, 20, 28, 48, 100, 0xff})
			for (const uint8_t from : {2, 6, 17, 0}) {
				Mac mac;
				mac.destination = {first, 0, 0, last, 0, last};
				mac.source = {from, 64, 0, 0, 0, 1};
				CAPTURE(first);
				CAPTURE(last);
				CHECK(groups_of(mac, false).size() == 1);
				CHECK(groups_of(mac, true).size() == 1);
			}
}

TEST_CASE("a pseudowire whose address states the length of some frames, around what is not IP")
{
	// MACsec, precision time, slow protocols, bridged, a length, SNAP
	for (const uint16_t type : {0x88e5, 0x88f7, 0x8809, 0x6558, 0x0030, 0x9100})
		for (const uint8_t from : {0, 6, 17, 44, 41, 58})
			for (const uint8_t third : {0x00, 0x1b, 0x20, 0x3a, 0xfe, 0x52}) {
				Mac mac;
				mac.destination = {0x60, 0, 0, 0, 0, 60};
				mac.source = {from, 0x80, third, 0x53, 0x11, 0x22};
				CAPTURE(type);
				CAPTURE(from);
				CAPTURE(third);
				std::set<uint32_t> hashes;
				for (uint32_t i = 0; i < 64; i++) {
					const Bytes counted = join({Bytes(12, 0xbe), be32_bytes(i * 0x01030507)});
					const Bytes inside = ethernet(type, join({counted, Bytes(52 + i, 'i')}), mac);
					hashes.insert(classify_of(ethernet(type_mpls, mpls(100, true, inside))).hash);
				}
				CHECK(hashes.size() == 1);
			}
}

TEST_CASE("pseudowires are told apart by their label stack, not by class or time to live")
{
	const Bytes inside = ethernet(type_arp, Bytes(46, 0), {.destination = {0x4c, 0, 0, 0, 0, 1}});
	const auto stack = [&](uint32_t outer, uint32_t inner, uint8_t ttl) {
		Bytes frame = ethernet(type_mpls, mpls(outer, false, mpls(inner, true, inside)));
		frame[17] = frame[21] = ttl;
		frame[16] |= 0x0e; // traffic class
		return classify_of(frame).hash;
	};
	CHECK(stack(1, 2, 64) == stack(1, 2, 63));
	CHECK(stack(1, 2, 64) != stack(1, 3, 64));
	CHECK(stack(1, 2, 64) != stack(2, 1, 64));
	CHECK(stack(1, 2, 64) != stack(3, 2, 64));
}

TEST_CASE("IP in MPLS is still seen, whole, padded, with a check sequence or cut when captured")
{
	const auto in_mpls = [](const Bytes &ip) { return ethernet(type_mpls, mpls(16, true, ip)); };
	const Bytes v4 = ipv4({}, tcp({.payload = Bytes(200, 1)}));
	const Bytes v6 = ipv6({}, tcp({.payload = Bytes(200, 1)}));
	const uint32_t flow4 = classify_of(ethernet(type_ipv4, v4)).hash;
	const uint32_t flow6 = classify_of(ethernet(type_ipv6, v6)).hash;
	for (const size_t more : {0, 4}) {
		CHECK(classify_of(join({in_mpls(v4), Bytes(more, 9)})).hash == flow4);
		CHECK(classify_of(join({in_mpls(v6), Bytes(more, 9)})).hash == flow6);
	}
	CHECK(classify_of(join({in_mpls(ipv4({}, tcp())), Bytes(2, 0)})).hash == flow4);
	for (const uint32_t captured : {90u, 96u, 128u}) {
		const Bytes frame4 = in_mpls(v4), frame6 = in_mpls(v6);
		CHECK(classify(frame4.data(), captured, LinkType::ethernet, KeyKind::five_tuple, 7).hash ==
		      flow4);
		CHECK(classify(frame6.data(), captured, LinkType::ethernet, KeyKind::five_tuple, 7).hash ==
		      flow6);
	}
	// Padded where it was sent, before it had labels: the frame is longer than the least one.
	const Bytes padded = join({ipv4({}, tcp()), Bytes(6, 0)});
	CHECK(classify_of(ethernet(type_mpls, mpls(16, false, mpls(17, true, padded)))).hash == flow4);
	// What IPv6 may carry, and to whom.
	const auto kept = [&](const Bytes &ip) {
		return classify_of(in_mpls(ip)).hash == classify_of(ethernet(type_ipv6, ip)).hash;
	};
	for (const char *to : {"2001:db8::9", "ff02::1", "fe80::1", "fd00::1", "::1", "64:ff9b::1"})
		for (const Segment &s :
		     {udp({.payload = Bytes(60, 1)}), tcp({.payload = Bytes(60, 1)}), esp(777), sctp(1, 2),
		      gre({}, Bytes(60, 0)), segment(58, Bytes(60, 128)),
		      fragment6(9, 0, true, udp({.payload = Bytes(60, 1)})),
		      extension(60, udp({.payload = Bytes(60, 1)}))})
			CHECK(kept(ipv6({.destination = to}, s)));
	Bytes wrong = v4;
	wrong[10] ^= 1; // checksum
	CHECK(classify_of(in_mpls(wrong)).hash != flow4);
}
