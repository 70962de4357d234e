// Writes the seeds of the capture fuzzer into a folder: `capture_corpus native/fuzz/capture_corpus`.
#include "traffic/capture_bytes.hpp"

#include <cstdio>
#include <fstream>
#include <zlib.h>
#include <zstd.h>

using namespace reframer::test;

namespace {

Bytes pcap(bool big, uint32_t magic, uint32_t link)
{
	return Writer{big, {}}
	    .pcap_header(magic, link, 200)
	    .pcap_record(1, 2, payload(60), 60)
	    .pcap_record(1, 2'000'000'000, payload(0), 1500)
	    .pcap_record(2, 3, payload(200), 0)
	    .bytes;
}

Bytes pcapng(bool big)
{
	Writer w{big, {}};
	w.section().interface(1, 100);
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
	w.packet(0, 1'500'000, payload(33), 60)
		.packet(1, 7, payload(16), 16)
		.block(0x0bad, payload(13));
	w.block(3, w.body().u32(20).add(payload(20)).bytes);
	w.block(2, w.body().u16(1).u16(9).u32(0).u32(77).u32(5).u32(6).add(payload(5)).bytes);
	w.section().interface(101, 0, w.body().u16(9).u16(1).u8(0x8a).pad4().bytes);
	return w.packet(0, 1536, payload(28), 28).bytes;
}

Bytes erf()
{
	Writer w{true, {}};
	w.u64(5).u8(0x82).u8(4).u16(16 + 16 + 2 + 60).u16(0).u16(64);
	w.u64(0x8000000000000000).u64(1).u16(0).add(payload(60));
	w.u64(6).u8(48).u8(4).u16(16).u16(0).u16(0);
	return w.u64(7).u8(22).u8(4).u16(16 + 40).u16(0).u16(40).add(payload(40)).bytes;
}

Bytes gzip(const Bytes &plain)
{
	z_stream z{};
	deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
	Bytes out(deflateBound(&z, plain.size()));
	z.next_in = const_cast<uint8_t *>(plain.data());
	z.avail_in = static_cast<uInt>(plain.size());
	z.next_out = out.data();
	z.avail_out = static_cast<uInt>(out.size());
	deflate(&z, Z_FINISH);
	out.resize(z.total_out);
	deflateEnd(&z);
	return out;
}

Bytes zstd(const Bytes &plain)
{
	Bytes out(ZSTD_compressBound(plain.size()));
	out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 1));
	return out;
}

Bytes cut(Bytes bytes, size_t tail)
{
	bytes.resize(bytes.size() - tail);
	return bytes;
}

} // namespace

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	const std::string folder = argv[1];
	const std::pair<const char *, Bytes> seeds[] = {
		{"pcap-us", pcap(false, 0xa1b2c3d4, 1)},
		{"pcap-us-big-endian", pcap(true, 0xa1b2c3d4, 0x24000001)},
		{"pcap-ns", pcap(false, 0xa1b23c4d, 101)},
		{"pcap-24-byte-records", pcap(false, 0xa1b2cd34, 1)},
		{"pcap-cut", cut(pcap(false, 0xa1b2c3d4, 1), 10)},
		{"pcap-unknown-link", pcap(false, 0xa1b2c3d4, 9999)},
		{"pcapng", pcapng(false)},
		{"pcapng-big-endian", pcapng(true)},
		{"pcapng-cut", cut(pcapng(false), 30)},
		{"erf", erf()},
		{"erf-cut", cut(erf(), 5)},
		{"gzip", gzip(pcap(false, 0xa1b2c3d4, 1))},
		{"gzip-cut", cut(gzip(pcapng(false)), 9)},
		{"zstd", zstd(pcapng(false))},
	};
	for (const auto &[name, bytes] : seeds)
		std::ofstream(folder + "/" + name, std::ios::binary)
			.write(reinterpret_cast<const char *>(bytes.data()),
		           static_cast<std::streamsize>(bytes.size()));
	return 0;
}
