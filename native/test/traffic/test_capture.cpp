// The capture readers, on files made by hand.
#include "capture_bytes.hpp"

#include <doctest/doctest.h>

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

using namespace reframer;
using namespace reframer::test;

namespace {

constexpr uint32_t micro = 0xa1b2c3d4, nano = 0xa1b23c4d;

Bytes gzip(const Bytes &plain)
{
	z_stream z{};
	REQUIRE(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	Bytes out(deflateBound(&z, plain.size()));
	z.next_in = const_cast<uint8_t *>(plain.data());
	z.avail_in = static_cast<uInt>(plain.size());
	z.next_out = out.data();
	z.avail_out = static_cast<uInt>(out.size());
	REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
	out.resize(z.total_out);
	deflateEnd(&z);
	return out;
}

Bytes xz(const Bytes &plain)
{
	Bytes out(lzma_stream_buffer_bound(plain.size()));
	size_t used = 0;
	REQUIRE(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, nullptr, plain.data(), plain.size(),
	                                out.data(), &used, out.size()) == LZMA_OK);
	out.resize(used);
	return out;
}

Bytes zstd(const Bytes &plain)
{
	Bytes out(ZSTD_compressBound(plain.size()));
	out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 1));
	return out;
}

// Ten packets of 20 to 200 bytes, cut from longer ones, 1 ms apart.
Bytes ten_packets(bool big = false, uint32_t magic = micro)
{
	Writer w{big, {}};
	w.pcap_header(magic);
	for (uint32_t i = 0; i < 10; i++)
		w.pcap_record(1000, i * 1000, payload(20 + i * 20, static_cast<uint8_t>(i)), 1500);
	return w.bytes;
}

Bytes pcapng_of_all_blocks(bool big)
{
	Writer w{big, {}};
	w.section();
	w.interface(1, 100);
	// if_tsresol 10^-9, if_tsoffset 10 s, if_fcslen 4
	w.interface(113, 0,
	            w.body()
	                .u16(9)
	                .u16(1)
	                .u8(9)
	                .pad4()
	                .u16(14)
	                .u16(8)
	                .u64(10)
	                .u16(13)
	                .u16(1)
	                .u8(4)
	                .pad4()
	                .u32(0)
	                .bytes);
	w.packet(0, 1'500'000, payload(33, 1), 60);
	w.packet(1, 5'000'000'007, payload(16, 2), 16);
	w.block(0x0bad, payload(13));                             // unknown: skipped
	w.block(5, payload(8));                                   // statistics: skipped
	w.block(3, w.body().u32(20).add(payload(20, 3)).bytes);   // simple
	w.block(3, w.body().u32(500).add(payload(100, 4)).bytes); // simple, cut at the snaplen of 100
	w.block(2, w.body().u16(1).u16(9).u32(0).u32(77).u32(5).u32(6).add(payload(5, 5)).bytes);
	w.section();                                                            // interfaces count anew
	w.interface(101, 0, w.body().u16(9).u16(1).u8(0x80 | 10).pad4().bytes); // 2^-10 s
	w.packet(0, 1024 + 512, payload(28, 6), 28);
	return w.bytes;
}

} // namespace

TEST_CASE("pcap: both byte orders, micro- and nanoseconds")
{
	for (const bool big : {false, true})
		for (const uint32_t magic : {micro, nano}) {
			CAPTURE(big);
			CAPTURE(magic);
			const ReadResult r = read_bytes(ten_packets(big, magic));
			REQUIRE(r.code == "");
			REQUIRE(r.packets.size() == 10);
			CHECK(r.format == "pcap");
			for (uint32_t i = 0; i < 10; i++) {
				CHECK(r.packets[i].data == payload(20 + i * 20, static_cast<uint8_t>(i)));
				CHECK(r.packets[i].wire == 1500);
				CHECK(r.packets[i].time_ns ==
				      1000'000'000'000ull + i * 1000ull * (magic == micro ? 1000 : 1));
			}
		}
}

TEST_CASE("pcap: odd but sound")
{
	SUBCASE("no packet")
	{
		const ReadResult r = read_bytes(Writer{}.pcap_header().bytes);
		CHECK(r.code == "");
		CHECK(r.packets.empty());
		CHECK(r.interfaces.size() == 1);
	}
	SUBCASE("a fraction of a second or more is carried over")
	{
		const ReadResult r =
			read_bytes(Writer{}.pcap_header().pcap_record(5, 2'500'000, payload(60), 60).bytes);
		REQUIRE(r.packets.size() == 1);
		CHECK(r.packets[0].time_ns == 7'500'000'000);
		CHECK(r.notes.fraction_out_of_range == 1);
	}
	SUBCASE("times after 2038")
	{
		const ReadResult r =
			read_bytes(Writer{}.pcap_header().pcap_record(4'000'000'000, 1, payload(60), 60).bytes);
		REQUIRE(r.packets.size() == 1);
		CHECK(r.packets[0].time_ns == 4'000'000'000'000'001'000);
	}
	SUBCASE("original length 0, or less than captured")
	{
		const ReadResult r = read_bytes(Writer{}
		                                    .pcap_header()
		                                    .pcap_record(1, 1, payload(60), 0)
		                                    .pcap_record(1, 1, payload(60), 59)
		                                    .bytes);
		REQUIRE(r.packets.size() == 2);
		CHECK(r.packets[0].wire == 0);
		CHECK(r.packets[1].wire == 59);
		CHECK(r.packets[1].data.size() == 60);
	}
	SUBCASE("length of the check sequence in the link type")
	{
		const ReadResult r = read_bytes(
			Writer{}.pcap_header(micro, 0x24000001).pcap_record(1, 1, payload(60), 60).bytes);
		REQUIRE(r.code == "");
		CHECK(r.interfaces[0].link_field == 0x24000001);
		CHECK(r.interfaces[0].fcs_bytes == 4);
		CHECK(r.packets[0].link == 1);
	}
	SUBCASE("the longest record")
	{
		const ReadResult r = read_bytes(Writer{}
		                                    .pcap_header(micro, 1, 262144)
		                                    .pcap_record(1, 1, payload(262144), 262144)
		                                    .bytes);
		REQUIRE(r.code == "");
		CHECK(r.packets[0].data == payload(262144));
	}
	SUBCASE("a snapshot length of 0 or 1 is no limit")
	{
		for (const uint32_t snaplen : {0u, 1u}) {
			const ReadResult r = read_bytes(
				Writer{}.pcap_header(micro, 1, snaplen).pcap_record(1, 1, payload(60), 60).bytes);
			REQUIRE(r.code == "");
			CHECK(r.packets[0].data.size() == 60);
		}
	}
	SUBCASE("records longer than the snapshot length are read whole and counted")
	{
		const ReadResult r = read_bytes(Writer{}
		                                    .pcap_header(micro, 1, 100)
		                                    .pcap_record(1, 1, payload(100), 100)
		                                    .pcap_record(1, 2, payload(101), 200)
		                                    .pcap_record(1, 3, payload(262144), 262144)
		                                    .bytes);
		REQUIRE(r.code == "");
		REQUIRE(r.packets.size() == 3);
		CHECK(r.packets[1].data == payload(101));
		CHECK(r.packets[1].wire == 200);
		CHECK(r.packets[2].data == payload(262144));
		CHECK(r.notes.over_snaplen == 2);
		CHECK(r.interfaces[0].snaplen == 100);
	}
	SUBCASE("a link type that is read but not parsed")
	{
		const ReadResult r =
			read_bytes(Writer{}.pcap_header(micro, 105).pcap_record(1, 1, payload(60), 60).bytes);
		CHECK(r.code == "");
		CHECK(r.packets[0].link == 105);
		CHECK_FALSE(traffic::link_type_parsed(packet::LinkType{105}));
	}
}

TEST_CASE("pcap: damage is one error with its offset, after what was sound")
{
	Writer w;
	w.pcap_header(micro, 1, 100).pcap_record(1, 1, payload(60), 60);
	const int64_t end = static_cast<int64_t>(w.bytes.size());
	SUBCASE("longer than pcap allows")
	{
		w.u32(1).u32(1).u32(262145).u32(262145);
	}
	SUBCASE("zeros")
	{
		w.add(Bytes(64, 0));
	}
	SUBCASE("cut in the record header")
	{
		w.u32(1).u32(1).u32(60);
	}
	SUBCASE("cut in the record")
	{
		w.u32(1).u32(1).u32(60).u32(60).add(payload(59));
	}
	SUBCASE("a huge length")
	{
		w.u32(1).u32(1).u32(0xffffffff).u32(60);
	}
	const ReadResult r = read_bytes(w.bytes);
	CHECK(r.code == "capture-damaged");
	CHECK(r.offset == end);
	CHECK(r.packets.size() == 1);
	CHECK(r.message.find("test") == 0);
	CHECK(r.message.find("byte " + std::to_string(end)) != std::string::npos);
}

TEST_CASE("files that are refused")
{
	CHECK(read_bytes({}).code == "capture-format");
	CHECK(read_bytes({0xd4, 0xc3, 0xb2}).code == "capture-format");
	CHECK(read_bytes(Bytes(100, 'x')).code == "capture-format");
	Writer version;
	version.u32(micro).u16(9).u16(4).u32(0).u32(0).u32(65535).u32(1);
	CHECK(read_bytes(version.bytes).code == "capture-unsupported");
	CHECK(read_bytes(version.bytes).offset == 4);
	const ReadResult link = read_bytes(Writer{}.pcap_header(micro, 9999).bytes);
	CHECK(link.code == "capture-unsupported");
	CHECK(link.offset == 20);
	CHECK(read_file("/nonexistent/file").code == "capture-open");
	CHECK(read_file("/").code == "capture-open");
}

TEST_CASE("pcapng: blocks, sections, interfaces, clocks, both byte orders")
{
	for (const bool big : {false, true}) {
		CAPTURE(big);
		const ReadResult r = read_bytes(pcapng_of_all_blocks(big));
		REQUIRE(r.code == "");
		CHECK(r.format == "pcapng");
		REQUIRE(r.packets.size() == 6);
		CHECK(r.packets[0] == ReadPacket{payload(33, 1), 60, 1'500'000'000, 1, 0});
		CHECK(r.packets[1] == ReadPacket{payload(16, 2), 16, 15'000'000'007, 113, 1});
		// No time of their own: that of the packet before.
		CHECK(r.packets[2] == ReadPacket{payload(20, 3), 20, 15'000'000'007, 1, 0});
		CHECK(r.packets[3] == ReadPacket{payload(100, 4), 500, 15'000'000'007, 1, 0});
		CHECK(r.packets[4] == ReadPacket{payload(5, 5), 6, 10'000'000'077, 113, 1});
		CHECK(r.packets[5] == ReadPacket{payload(28, 6), 28, 1'500'000'000, 101, 2});
		CHECK(r.notes.without_time == 2);
		REQUIRE(r.interfaces.size() == 3);
		CHECK(r.interfaces[1].fcs_bytes == 4);
		CHECK(r.interfaces[1].link_field == (113 | 0x24000000));
	}
}

TEST_CASE("pcapng: damage is one error with its offset, after what was sound")
{
	Writer w;
	w.section().interface(1, 0).packet(0, 1, payload(60), 60);
	const int64_t end = static_cast<int64_t>(w.bytes.size());
	SUBCASE("block length 0")
	{
		w.u32(6).u32(0).u32(0);
	}
	SUBCASE("block length not a multiple of four")
	{
		w.u32(6).u32(33).add(Bytes(25));
	}
	SUBCASE("block cut")
	{
		w.u32(6).u32(80).add(Bytes(20));
	}
	SUBCASE("block header cut")
	{
		w.u32(6).u32(80);
	}
	SUBCASE("no such interface")
	{
		w.packet(1, 1, payload(60), 60);
	}
	SUBCASE("second length differs")
	{
		w.packet(0, 1, payload(60), 60).bytes.back() ^= 1;
	}
	SUBCASE("packet longer than its block")
	{
		w.block(6, w.body().u32(0).u32(0).u32(0).u32(61).u32(61).add(payload(60)).bytes);
	}
	SUBCASE("skipped block cut")
	{
		w.u32(0x0bad).u32(100'000'000).add(Bytes(5000));
	}
	const ReadResult r = read_bytes(w.bytes);
	CHECK(r.code == "capture-damaged");
	CHECK(r.offset == end);
	CHECK(r.packets.size() == 1);
}

TEST_CASE("ERF: Ethernet with extension headers, IP, records without a frame")
{
	Writer w{true, {}};
	const auto record = [&](uint8_t type, const Bytes &rest, uint16_t wire) {
		Writer little;
		little.u32(0x80000000).u32(1000); // half a second after 1000 s
		w.add(little.bytes)
			.u8(type)
			.u8(4)
			.u16(static_cast<uint32_t>(16 + rest.size()))
			.u16(0)
			.u16(wire);
		w.add(rest);
	};
	const auto with_pad = [](Bytes extension, const Bytes &data) {
		extension.insert(extension.end(), {0, 0});
		extension.insert(extension.end(), data.begin(), data.end());
		return extension;
	};
	Bytes two_extensions(16, 0);
	two_extensions[0] = 0x80;
	record(2, with_pad({}, payload(60)), 64);
	record(2 | 0x80, with_pad(two_extensions, payload(70, 1)), 1500);
	record(48, Bytes(16, 0), 0);
	record(22, payload(40, 2), 40);
	const ReadResult r = read_bytes(w.bytes);
	REQUIRE(r.code == "");
	CHECK(r.format == "erf");
	REQUIRE(r.packets.size() == 3);
	CHECK(r.packets[0] == ReadPacket{payload(60), 64, 1000'500'000'000, 1, 0});
	CHECK(r.packets[1] == ReadPacket{payload(70, 1), 1500, 1000'500'000'000, 1, 0});
	CHECK(r.packets[2] == ReadPacket{payload(40, 2), 40, 1000'500'000'000, 101, 1});
	CHECK(r.notes.skipped_records == 1);
	CHECK(r.interfaces[0].fcs_bytes == 4);
}

TEST_CASE("gzip, xz and zstd, several members, and their damage")
{
	const Bytes plain = ten_packets();
	const auto expected = read_bytes(plain).packets;
	const struct {
		const char *name;
		Bytes (*pack)(const Bytes &);
	} all[] = {{"gzip", gzip}, {"xz", xz}, {"zstd", zstd}};
	for (const auto &[name, pack] : all) {
		CAPTURE(name);
		const Bytes packed = pack(plain);
		const ReadResult whole = read_bytes(packed);
		CHECK(whole.code == "");
		CHECK(whole.compression == name);
		CHECK(whole.packets == expected);

		const Bytes head(plain.begin(), plain.begin() + 300),
			tail(plain.begin() + 300, plain.end());
		Bytes members = pack(head);
		const Bytes second = pack(tail);
		members.insert(members.end(), second.begin(), second.end());
		CHECK(read_bytes(members).packets == expected);

		for (size_t size = 6; size < packed.size(); size++) {
			const ReadResult cut =
				read_bytes(Bytes(packed.begin(), packed.begin() + static_cast<long>(size)));
			REQUIRE(cut.code == "capture-damaged");
			REQUIRE(std::equal(cut.packets.begin(), cut.packets.end(), expected.begin()));
		}
		Bytes flipped = packed;
		flipped.at(packed.size() - 3) ^= 0xff; // in the check or in the frame's end
		const ReadResult r = read_bytes(flipped);
		if (std::string(name) != "zstd") // its frames carry no check sum unless asked for
			CHECK(r.code == "capture-damaged");
	}
	Bytes padded = gzip(plain);
	padded.resize(padded.size() + 100);
	CHECK(read_bytes(padded).packets == expected);
}

TEST_CASE("cut anywhere: an error or a shorter file, and the packets before it")
{
	for (const Bytes &whole : {ten_packets(), ten_packets(true, nano), pcapng_of_all_blocks(false),
	                           pcapng_of_all_blocks(true)}) {
		const auto expected = read_bytes(whole).packets;
		size_t sound = 0;
		for (size_t size = 0; size < whole.size(); size++) {
			const ReadResult r =
				read_bytes(Bytes(whole.begin(), whole.begin() + static_cast<long>(size)));
			REQUIRE(r.packets.size() <= expected.size());
			REQUIRE(std::equal(r.packets.begin(), r.packets.end(), expected.begin()));
			REQUIRE(r.offset <= static_cast<int64_t>(size));
			sound += r.code.empty();
		}
		// Only between records or blocks.
		CHECK(sound <= 14);
	}
}

TEST_CASE("any byte changed: no crash, one error at most, offset inside the file")
{
	for (const Bytes &whole : {ten_packets(), pcapng_of_all_blocks(false)})
		for (size_t at = 0; at < whole.size(); at++)
			for (const uint8_t change : {0x01, 0x80, 0xff}) {
				Bytes bytes = whole;
				bytes[at] = static_cast<uint8_t>(bytes[at] ^ change);
				const ReadResult r = read_bytes(bytes);
				REQUIRE(r.packets.size() <= 40);
				if (!r.code.empty()) {
					REQUIRE(r.offset >= 0);
					REQUIRE(r.offset <= static_cast<int64_t>(whole.size()));
				}
			}
}
