#include "traffic/generator.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

using namespace reframer;
using namespace reframer::traffic;

namespace {

GeneratorParams params_of(Profile profile)
{
	GeneratorParams p;
	p.profile = profile;
	return p;
}

std::vector<PacketMeta> all(const GeneratorParams &params, size_t limit = SIZE_MAX)
{
	Generator generator(params);
	std::vector<PacketMeta> packets;
	PacketMeta burst[32];
	while (packets.size() < limit) {
		const size_t n = generator.read_meta(burst, 32);
		if (n == 0)
			break;
		packets.insert(packets.end(), burst, burst + n);
	}
	return packets;
}

size_t runs(const std::vector<PacketMeta> &packets)
{
	size_t n = packets.empty() ? 0 : 1;
	for (size_t i = 1; i < packets.size(); i++)
		n += packets[i].flow != packets[i - 1].flow;
	return n;
}

uint32_t sum16(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += uint32_t{p[i]} << (i & 1 ? 0 : 8);
	return sum;
}

uint32_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

// An empty string, or what is wrong with the frame. Computed from the bytes alone.
std::string fault(const uint8_t *f, size_t length, const PacketMeta &meta)
{
	const uint8_t *ip = f + 14;
	size_t header, l4_length;
	uint32_t sum;
	uint8_t protocol;
	if ((f[12] << 8 | f[13]) == 0x0800) {
		if (ip[0] != 0x45 || folded(sum16(ip, 20)) != 0xffff)
			return "IPv4 header";
		header = 20;
		l4_length = static_cast<size_t>(ip[2] << 8 | ip[3]) - 20;
		protocol = ip[9];
		sum = sum16(ip + 12, 8);
	} else {
		if ((f[12] << 8 | f[13]) != 0x86dd || ip[0] >> 4 != 6)
			return "type";
		header = 40;
		l4_length = static_cast<size_t>(ip[4] << 8 | ip[5]);
		protocol = ip[6];
		sum = sum16(ip + 8, 32);
	}
	if (14 + header + l4_length > length)
		return "length";
	const uint8_t *l4 = ip + header;
	if (folded(sum + protocol + static_cast<uint32_t>(l4_length) + sum16(l4, l4_length)) != 0xffff)
		return "checksum";
	const size_t l4_header = protocol == 6 ? (l4[12] >> 4) * 4u : 8;
	if (protocol == 17 && static_cast<size_t>(l4[4] << 8 | l4[5]) != l4_length)
		return "UDP length";
	if (l4_length - l4_header != meta.payload)
		return "payload";
	return "";
}

} // namespace

TEST_CASE("clients: interleave I gives SLF I exactly")
{
	for (uint32_t interleave : {1u, 2u, 4u, 8u, 16u, 32u}) {
		GeneratorParams p = params_of(Profile::clients);
		p.flows = 100;
		p.packets_per_flow = 64;
		p.interleave = interleave;
		p.packets = 3 * 6400;
		const auto packets = all(p);
		CHECK(packets.size() == p.packets);
		CHECK(runs(packets) * interleave == packets.size());
		std::map<uint32_t, uint32_t> sequence;
		bool ordered = true;
		for (const PacketMeta &m : packets)
			ordered &= m.seq == sequence[m.flow]++;
		CHECK(ordered);
		CHECK(sequence.size() == 100);
	}
}

TEST_CASE("clients: an interleave that does not divide the flow ends in a shorter turn")
{
	GeneratorParams p = params_of(Profile::clients);
	p.flows = 10;
	p.packets_per_flow = 400;
	p.interleave = 32;
	const auto packets = all(p);
	CHECK(packets.size() == 4000);
	CHECK(runs(packets) == 10 * 13);
}

TEST_CASE("constant rate holds over any number of packets")
{
	GeneratorParams p = params_of(Profile::uniform);
	p.packets = 100000;
	p.frame_length = 64;
	p.rate_bps = 7000000000;
	const auto packets = all(p);
	const double expected = 99999.0 * 64 * 8 / 7;
	CHECK(packets.back().time_ns >= static_cast<uint64_t>(expected) - 1);
	CHECK(packets.back().time_ns <= static_cast<uint64_t>(expected) + 1);
}

TEST_CASE("uniform: every flow comes, and different flows have different tuples")
{
	GeneratorParams p = params_of(Profile::uniform);
	p.flows = 20000;
	p.packets = 400000;
	Generator generator(p);
	std::map<uint32_t, std::string> tuples;
	std::set<std::string> distinct;
	PacketMeta m;
	while (generator.read_meta(&m, 1) == 1) {
		const FlowTuple t = generator.tuple(m);
		std::string bytes(reinterpret_cast<const char *>(&t), sizeof(t));
		const auto [it, fresh] = tuples.emplace(m.flow, bytes);
		if (!fresh)
			REQUIRE(it->second == bytes);
		distinct.insert(bytes);
	}
	CHECK(tuples.size() == 20000);
	CHECK(distinct.size() == 20000);
}

TEST_CASE("a queue's packets are exactly those of the full traffic")
{
	GeneratorParams p = params_of(Profile::uniform);
	p.flows = 500;
	p.packets = 20000;
	const auto full = all(p);
	size_t together = 0;
	p.queues = 8;
	for (p.queue = 0; p.queue < 8; p.queue++) {
		std::vector<PacketMeta> expected;
		for (const PacketMeta &m : full)
			if (rss_queue(m.hash, 8) == p.queue)
				expected.push_back(m);
		const auto got = all(p);
		REQUIRE(got.size() == expected.size());
		CHECK(std::memcmp(got.data(), expected.data(), got.size() * sizeof(PacketMeta)) == 0);
		together += got.size();
	}
	CHECK(together == full.size());
}

TEST_CASE("frames are valid and do not depend on how they are read")
{
	for (uint32_t length : {60u, 61u, 64u, 1000u, 1514u, 9014u}) {
		GeneratorParams p = params_of(Profile::uniform);
		p.frame_length = length;
		p.packets = 600;
		p.flows = 50;
		Generator frames(p), metas(p);
		p.snaplen = 64;
		Generator cut(p);
		std::vector<packet::Frame> burst(600), cut_burst(600);
		std::vector<uint8_t> buffer(max_frame_length);
		size_t seen = 0;
		while (size_t n = frames.read(burst.data(), 600)) {
			REQUIRE(cut.read(cut_burst.data(), 600) == n);
			for (size_t i = 0; i < n; i++) {
				PacketMeta m;
				REQUIRE(metas.read_meta(&m, 1) == 1);
				REQUIRE(burst[i].wire == length);
				REQUIRE(burst[i].captured == length);
				REQUIRE(fault(burst[i].data, length, m) == "");
				REQUIRE(metas.write(m, buffer.data(), buffer.size()) == length);
				REQUIRE(std::memcmp(buffer.data(), burst[i].data, length) == 0);
				REQUIRE(cut_burst[i].wire == length);
				REQUIRE(cut_burst[i].captured == std::min(64u, length));
				REQUIRE(std::memcmp(cut_burst[i].data, buffer.data(), cut_burst[i].captured) == 0);
			}
			seen += n;
		}
		CHECK(seen == 600);
	}
}

TEST_CASE("every kind of flow makes a valid frame, TCP and UDP, IPv4 and IPv6")
{
	uint8_t buffer[max_frame_length];
	for (unsigned kind = 0; kind < 64; kind++) {
		if ((kind & kind_timestamps) && !(kind & kind_tcp))
			continue;
		const auto k = static_cast<uint8_t>(kind);
		for (uint16_t payload : {0, 1, 2, 777, 1440}) {
			PacketMeta m{123456789, 77, 0, 4294967000u, 99, 0, payload, tcp_ack, k, 0};
			m.length = static_cast<uint16_t>(std::max<size_t>(header_length(k) + payload, 64));
			REQUIRE(write_frame(5, m, buffer, sizeof(buffer)) == m.length);
			CHECK(fault(buffer, m.length, m) == "");
		}
	}
}

TEST_CASE("parameters out of range are refused")
{
	GeneratorParams p = params_of(Profile::clients);
	p.interleave = 0;
	CHECK_THROWS_AS(Generator{p}, GeneratorError);
	p.interleave = 401;
	CHECK_THROWS_AS(Generator{p}, GeneratorError);
	p.interleave = 400;
	CHECK_NOTHROW(Generator{p});
	p.frame_length = 59;
	CHECK_THROWS_AS(Generator{p}, GeneratorError);
	p.frame_length = 9015;
	CHECK_THROWS_AS(Generator{p}, GeneratorError);
	p.frame_length = 60;
	p.queue = p.queues = 4;
	CHECK_THROWS_AS(Generator{p}, GeneratorError);
}
