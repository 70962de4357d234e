// Connections in little memory: counts beyond 2^32, addresses of both kinds, TCP from one segment.
#include "lab/captures/kept_connections.hpp"

#include <doctest/doctest.h>

#include <cstring>

using namespace reframer::lab;
using namespace reframer::conntrack;

namespace {

Ends ends_of(uint8_t version, uint8_t protocol)
{
	Ends ends{};
	for (int i = version == 4 ? 12 : 0; i < 16; i++) {
		ends.source[i] = uint8_t(i + 1);
		ends.destination[i] = uint8_t(i + 101);
	}
	if (version == 4)
		ends.source[10] = ends.source[11] = ends.destination[10] = ends.destination[11] = 0xff;
	ends.source_port = 1000;
	ends.destination_port = 2000;
	ends.version = version;
	ends.protocol = protocol;
	return ends;
}

TcpSegment segment(uint8_t flags, uint32_t sequence, uint32_t acknowledged)
{
	TcpSegment s;
	s.flags = flags;
	s.sequence = sequence;
	s.end = sequence + (flags & TcpSegment::syn ? 1 : 0);
	s.acknowledged = s.selectively = acknowledged;
	s.window = 1000;
	return s;
}

} // namespace

TEST_CASE("kept connections count beyond 32 bits, and back")
{
	KeptConnections kept;
	const uint32_t other = kept.begin(ends_of(4, 17), 5), i = kept.begin(ends_of(4, 17), 7);
	for (int n = 0; n < 3; n++)
		kept.add(i, true, 0xffff'ffff, 0xffff'fff0);
	CHECK(kept.packets(i, true) == 3 * uint64_t{0xffff'ffff});
	CHECK(kept.bytes(i, true) == 3 * uint64_t{0xffff'fff0});
	kept.add(i, false, 1, 60);
	kept.take_back(i, true, 0xffff'fffe, 0xffff'fff0);
	kept.take_back(i, true, 0xffff'fffe, 0);
	CHECK(kept.packets(i, true) == 3 * uint64_t{0xffff'ffff} - 2 * uint64_t{0xffff'fffe});
	CHECK(kept.bytes(i, true) == 2 * uint64_t{0xffff'fff0});
	const Connection c = kept.connection(i);
	CHECK(c.packets[0] == 1);
	CHECK(c.bytes[0] == 60);
	CHECK(c.packets[1] == kept.packets(i, true));
	CHECK(kept.packets(other, true) == 0);
}

TEST_CASE("kept connections have the ends that they began with, or turned round")
{
	KeptConnections kept;
	for (const uint8_t version : {uint8_t{4}, uint8_t{6}, uint8_t{4}}) {
		const Ends ends = ends_of(version, 6);
		const uint32_t i = kept.begin(ends, 9);
		for (const bool turned : {false, true}) {
			const Connection c = kept.connection(i);
			CHECK(std::memcmp(c.source, turned ? ends.destination : ends.source, 16) == 0);
			CHECK(std::memcmp(c.destination, turned ? ends.source : ends.destination, 16) == 0);
			CHECK(c.source_port == (turned ? 2000 : 1000));
			CHECK(c.version == version);
			CHECK(c.first_ns == 9);
			CHECK(kept.is_reply(i, ends) == turned);
			kept.turn(i);
		}
	}
}

TEST_CASE("of one segment follows what a connection is, and its place is used again")
{
	const TcpSegment first = segment(TcpSegment::syn, 5000, 0);
	const TcpSegment answer = segment(TcpSegment::syn | TcpSegment::ack, 70, 5001);
	TcpConnection whole(first);
	whole.add(first, false);
	KeptConnections kept;
	for (int n = 0; n < 3; n++) {
		const uint32_t i = kept.begin(ends_of(4, 6), 0);
		TcpPart none;
		KeptConnections::note_sequences(kept[i], none, first, false);
		kept[i].set(KeptConnections::Kept::followed);
		kept.keep_segment(i, first);
		CHECK(kept[i].tcp == 0);
		TcpPart &part = kept.part(i);
		CHECK(part.syn_sequence[0] == 5000);
		CHECK(kept[i].syn_known == 1);
		TcpConnection expected = whole;
		CHECK(part.tcp.add(answer, true).outcome == expected.add(answer, true).outcome);
		CHECK(part.tcp.state() == expected.state());
		CHECK(part.tcp.state() == TcpState::syn_recv);
		CHECK(&kept.part(i) == &part);
	}
}
