#include "packet/cases.hpp"

#include "packet/classify.hpp"
#include "packet/flow_key.hpp"
#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <unordered_map>

using namespace reframer::packet;
using namespace reframer::test;

namespace {

constexpr KeyKind kinds[] = {KeyKind::five_tuple, KeyKind::symmetric, KeyKind::destination,
                             KeyKind::inner};
constexpr uint64_t any_seed = 0x1234567890abcdef;

Digest classify_of(const Bytes &frame, KeyKind kind = KeyKind::five_tuple,
                   LinkType link = LinkType::ethernet, uint64_t seed = any_seed)
{
	return classify(frame.data(), static_cast<uint32_t>(frame.size()), link, kind, seed);
}

FlowKey group_of(const uint8_t *data, uint32_t size, LinkType link, KeyKind kind)
{
	const Depth depth = kind == KeyKind::inner ? Depth::innermost : Depth::outer;
	return grouping_key(flow_key_of(parse(data, size, size, link, depth), data), kind);
}

// The inline path, the slow path and the key's own hash must say the same; returns the digest.
Digest check_agreement(const uint8_t *data, uint32_t size, LinkType link, KeyKind kind,
                       uint64_t seed)
{
	const Digest fast = classify(data, size, link, kind, seed);
	const Digest slow = classify_slow(data, size, link, kind, seed);
	const FlowKey key = group_of(data, size, link, kind);
	const Digest parsed = classify_parsed(data, size, link, kind, seed);
	CHECK(fast.hash == slow.hash);
	CHECK(fast.hash == parsed.hash);
	CHECK(fast.traits == slow.traits);
	CHECK(fast.traits == parsed.traits);
	CHECK(fast.hash == hash_of(key, seed));
	CHECK((fast.traits == trait_unparsed) == !key.is_flow());
	return fast;
}

// A table of random frames over few values, so that equal keys come up often.
Bytes random_frame(std::mt19937_64 &random)
{
	const auto pick = [&](uint32_t below) { return static_cast<uint32_t>(random() % below); };
	const std::string nets4[] = {"10.0.0.", "192.168.1."}, nets6[] = {"2001:db8::", "fd00:1::"};
	const auto address4 = [&] { return nets4[pick(2)] + std::to_string(1 + pick(2)); };
	const auto address6 = [&] { return nets6[pick(2)] + std::to_string(1 + pick(2)); };
	const auto port = [&] { return static_cast<uint16_t>(pick(4) == 0 ? 53 : 1000 + pick(2)); };
	const auto l4 = [&]() -> Segment {
		switch (pick(8)) {
		case 0:
			return icmp(8, Bytes(20, 1));
		case 1:
			return esp(pick(2));
		case 2:
			return sctp(port(), port());
		case 3:
		case 4:
			return udp({.source = port(), .destination = port(), .payload = Bytes(pick(40), 0)});
		default:
			return tcp({.source = port(),
			            .destination = port(),
			            .flags = static_cast<uint16_t>(pick(2) ? 0x10 : pick(0x200)),
			            .options = Bytes(4 * pick(4), 1),
			            .payload = Bytes(pick(3), 0)});
		}
	};
	const auto packet = [&](const Segment &content) -> std::pair<uint16_t, Bytes> {
		if (pick(3) == 0)
			return {type_ipv6,
			        ipv6({.source = address6(),
			              .destination = address6(),
			              .traffic_class = static_cast<uint8_t>(pick(2) ? 46 << 2 : pick(256))},
			             pick(4) == 0 ? fragment6(pick(2), 8 * static_cast<uint16_t>(pick(2)),
			                                      pick(2), content)
			                          : content)};
		return {type_ipv4, ipv4({.source = address4(),
		                         .destination = address4(),
		                         .tos = static_cast<uint8_t>(pick(2) ? 46 << 2 : pick(256)),
		                         .id = pick(2),
		                         .fragment_offset = static_cast<uint16_t>(pick(8) == 0 ? 8 : 0),
		                         .more_fragments = pick(8) == 0,
		                         .options = Bytes(4 * (pick(8) == 0), 1)},
		                        content)};
	};
	auto [type, bytes] = packet(l4());
	for (uint32_t n = pick(4) == 0 ? 1 + pick(2) : 0; n > 0; n--) {
		switch (pick(4)) {
		case 0:
			std::tie(type, bytes) = packet(vxlan(pick(2), ethernet(type, bytes)));
			break;
		case 1:
			std::tie(type, bytes) = packet(gre({.type = type}, bytes));
			break;
		case 2:
			std::tie(type, bytes) = packet(gtpu(pick(2), bytes, static_cast<uint8_t>(pick(2))));
			break;
		default:
			std::tie(type, bytes) = packet(ip_in_ip(bytes));
		}
	}
	for (uint32_t tags = pick(4); tags > 1; tags--) {
		bytes = vlan(static_cast<uint16_t>(pick(4096)), type, bytes);
		type = pick(2) ? type_vlan : type_service_vlan;
	}
	return join({ethernet(type, bytes), Bytes(pick(2) * pick(30), 0)});
}

} // namespace

TEST_CASE("fast path, slow path and FlowKey agree on every kind of frame")
{
	for (const Case &c : all_cases())
		for (const KeyKind kind : kinds) {
			CAPTURE(c.name);
			check_agreement(c.frame.data(), static_cast<uint32_t>(c.frame.size()), c.link, kind,
			                any_seed);
		}
}

TEST_CASE("every frame cut at every byte: no byte past the cut is read, and all agree")
{
	for (const Case &c : all_cases())
		for (uint32_t size = 0; size <= c.frame.size(); size++) {
			CAPTURE(c.name);
			CAPTURE(size);
			// Exactly as long as the cut, so that the address sanitizer sees one byte too far.
			const auto cut = std::make_unique_for_overwrite<uint8_t[]>(size);
			std::memcpy(cut.get(), c.frame.data(), size);
			for (const KeyKind kind : kinds)
				check_agreement(cut.get(), size, c.link, kind, any_seed);
		}
}

TEST_CASE("equal hashes mean equal keys on random frames, whole, cut and damaged")
{
	std::mt19937_64 random(seed_for("classify random frames", 20220404));
	const uint64_t seed = random();
	for (const KeyKind kind : kinds) {
		std::unordered_map<uint32_t, FlowKey> key_of_hash;
		std::unordered_map<FlowKey, uint32_t> hash_of_key;
		size_t repeated = 0;
		for (int i = 0; i < 20000; i++) {
			Bytes frame = random_frame(random);
			if (random() % 4 == 0)
				frame.resize(random() % (frame.size() + 1));
			if (random() % 4 == 0 && !frame.empty())
				frame[random() % frame.size()] = static_cast<uint8_t>(random());
			const auto size = static_cast<uint32_t>(frame.size());
			const Digest digest =
				check_agreement(frame.data(), size, LinkType::ethernet, kind, seed);
			FlowKey key = group_of(frame.data(), size, LinkType::ethernet, kind);
			if (!key.is_flow())
				key = FlowKey{}; // one group of all that is not IP
			repeated += !hash_of_key.try_emplace(key, digest.hash).second;
			CHECK(hash_of_key.at(key) == digest.hash);
			CHECK(key_of_hash.try_emplace(digest.hash, key).first->second == key);
		}
		CHECK(repeated > 1000); // else the test says nothing
	}
}

TEST_CASE("both directions share the symmetric hash and only that")
{
	const auto frames = [](const Ip &ip, uint16_t a, uint16_t b) {
		return ethernet(type_ipv4, ipv4(ip, udp({.source = a, .destination = b})));
	};
	const Ip there = {.source = "10.0.0.1", .destination = "10.0.0.2"};
	const Ip back = {.source = "10.0.0.2", .destination = "10.0.0.1"};
	const Bytes one = frames(there, 5, 6), two = frames(back, 6, 5), other = frames(back, 5, 6);
	CHECK(classify_of(one, KeyKind::symmetric).hash == classify_of(two, KeyKind::symmetric).hash);
	CHECK(classify_of(one).hash != classify_of(two).hash);
	CHECK(classify_of(one, KeyKind::symmetric).hash != classify_of(other, KeyKind::symmetric).hash);
	CHECK(classify_of(one, KeyKind::destination).hash !=
	      classify_of(two, KeyKind::destination).hash);
	CHECK(classify_of(two, KeyKind::destination).hash ==
	      classify_of(other, KeyKind::destination).hash);

	const Ip6 there6 = {.source = "2001:db8::1", .destination = "2001:db8::2"};
	const Ip6 back6 = {.source = "2001:db8::2", .destination = "2001:db8::1"};
	const Bytes one6 = ethernet(type_ipv6, ipv6(there6, tcp({.source = 5, .destination = 6})));
	const Bytes two6 = ethernet(type_ipv6, ipv6(back6, tcp({.source = 6, .destination = 5})));
	CHECK(classify_of(one6, KeyKind::symmetric).hash == classify_of(two6, KeyKind::symmetric).hash);
	CHECK(classify_of(one6).hash != classify_of(two6).hash);
}

TEST_CASE("IP options, tags and padding do not split a flow")
{
	const Bytes plain = ethernet(type_ipv4, ipv4({}, tcp()));
	const uint32_t hash = classify_of(plain).hash;
	CHECK(classify_of(ethernet(type_ipv4, ipv4({.options = Bytes(12, 1)}, tcp()))).hash == hash);
	CHECK(classify_of(ethernet(type_vlan, vlan(9, type_ipv4, ipv4({}, tcp())))).hash == hash);
	CHECK(classify_of(join({plain, Bytes(6, 0)})).hash == hash);
	CHECK(classify_of(ipv4({}, tcp()), KeyKind::five_tuple, LinkType::raw_ip).hash == hash);
	CHECK(classify_of(ethernet(type_ipv4, ipv4({}, vxlan(1, plain))), KeyKind::inner).hash == hash);
}

TEST_CASE("traits of the common frames")
{
	const auto traits = [](const Ip &ip, const Segment &s) {
		return classify_of(ethernet(type_ipv4, ipv4(ip, s))).traits;
	};
	const uint32_t base = trait_ipv4 | trait_tcp;
	CHECK(traits({}, tcp({.flags = 0x10})) == (base | trait_pure_ack));
	CHECK(traits({}, tcp({.flags = 0x10, .options = Bytes(12, 1)})) == (base | trait_pure_ack));
	CHECK(traits({}, tcp({.flags = 0x10, .payload = {1}})) == base);
	CHECK(traits({}, tcp({.flags = 0x110})) == base);
	CHECK(traits({}, tcp({.flags = 0x50})) == base);
	CHECK(traits({}, tcp({.flags = 0x18, .payload = {1}})) == (base | trait_psh));
	CHECK(traits({}, tcp({.flags = 0x02})) == (base | trait_syn));
	CHECK(traits({}, tcp({.flags = 0x11})) == (base | trait_fin));
	CHECK(traits({}, tcp({.flags = 0x14})) == (base | trait_rst));
	CHECK(traits({}, tcp({.source = 53, .flags = 0})) == (base | trait_dns));
	CHECK(traits({.tos = 46 << 2}, udp()) == (trait_ipv4 | trait_udp | trait_dscp_ef));
	CHECK(traits({.tos = 1}, udp({.destination = 53})) ==
	      (trait_ipv4 | trait_udp | trait_dns | trait_ect1));
	CHECK(traits({.tos = 3}, udp()) == (trait_ipv4 | trait_udp));
	CHECK(traits({}, icmp(8, Bytes(20, 0))) == trait_ipv4);
	CHECK(classify_of(ethernet(type_ipv6, ipv6({.traffic_class = 46 << 2 | 1}, tcp()))).traits ==
	      (trait_ipv6 | trait_tcp | trait_pure_ack | trait_dscp_ef | trait_ect1));
	CHECK(classify_of(ethernet(type_arp, Bytes(46, 0))).traits == trait_unparsed);
	CHECK(classify_of(ethernet(type_arp, Bytes(46, 0))).hash == unparsed_hash);
}

TEST_CASE("the hash depends on the seed, and flows that collide under one do not under another")
{
	std::mt19937_64 random(seed_for("classify collisions", 7));
	std::unordered_map<uint32_t, std::pair<uint64_t, uint64_t>> seen;
	size_t collisions = 0, persistent = 0;
	// 2^18 keys in 2^32 hashes: 8 collisions are expected.
	for (uint64_t i = 0; i < 1u << 18; i++) {
		const std::pair<uint64_t, uint64_t> key = {0x0a000000 + i % 512, 0x0b000000 + i / 512};
		const auto [it, is_new] = seen.try_emplace(hash_words(key.first, key.second, 1), key);
		if (is_new)
			continue;
		collisions++;
		persistent += hash_words(key.first, key.second, 2) ==
		              hash_words(it->second.first, it->second.second, 2);
	}
	CHECK(collisions < 40);
	CHECK(persistent == 0);
}

TEST_CASE("low and high bits of the hash spread structured keys evenly")
{
	// Counters in one address byte, one port, both: the patterns that weak mixes map to few
	// buckets.
	const auto chi_square = [](int pattern, int shift, uint64_t seed) {
		constexpr size_t nb_buckets = 1024, nb_keys = 1 << 16;
		std::vector<uint32_t> buckets(nb_buckets);
		for (uint64_t i = 0; i < nb_keys; i++) {
			uint64_t a = 0x0200000a0100000a, b = hash_tail(0, 17, 2);
			switch (pattern) {
			case 0:
				a += i << 16;
				break; // last bytes of the source
			case 1:
				b |= i << 16;
				break; // destination port
			case 2:
				b |= i;
				break; // source port
			case 3:
				a += (i & 255) << 24 | (i >> 8) << 56;
				break; // last byte of both addresses
			default:
				a += i << 56;
				b |= i >> 8 << 8;
			}
			buckets[hash_words(a, b, seed) >> shift & (nb_buckets - 1)]++;
		}
		const double expected = static_cast<double>(nb_keys) / nb_buckets;
		double sum = 0;
		for (const uint32_t count : buckets)
			sum += (count - expected) * (count - expected) / expected;
		// Standard deviations from the mean of a chi-square with this many degrees of freedom.
		return (sum - (nb_buckets - 1)) / std::sqrt(2.0 * (nb_buckets - 1));
	};
	for (int pattern = 0; pattern < 5; pattern++)
		for (const int shift : {0, 11, 22})
			for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, any_seed}) {
				CAPTURE(pattern);
				CAPTURE(shift);
				CAPTURE(seed);
				CHECK(std::abs(chi_square(pattern, shift, seed)) < 6);
			}
}
