// Compressed captures that are odd, and right: frames without data, pipes that bring a little at a time.
#include "capture_bytes.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <lzma.h>
#include <stdexcept>
#include <zlib.h>
#include <zstd.h>

using namespace reframer;
using namespace reframer::test;

namespace {

constexpr uint32_t nb_packets = 10;

Bytes capture()
{
	Writer w;
	w.pcap_header();
	for (uint32_t i = 0; i < nb_packets; i++)
		w.pcap_record(1000, i, payload(60 + i, static_cast<uint8_t>(i)), 1500);
	return w.bytes;
}

// All that a decompressor needs to give out `plain`, and not the end of the file.
Bytes gzip_so_far(Bytes plain)
{
	z_stream z{};
	REQUIRE(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	Bytes out(10'000);
	z.next_in = plain.data();
	z.avail_in = static_cast<uInt>(plain.size());
	z.next_out = out.data();
	z.avail_out = static_cast<uInt>(out.size());
	REQUIRE(deflate(&z, Z_SYNC_FLUSH) == Z_OK);
	out.resize(z.total_out);
	deflateEnd(&z);
	return out;
}

Bytes xz_so_far(Bytes plain)
{
	lzma_stream z = LZMA_STREAM_INIT;
	REQUIRE(lzma_easy_encoder(&z, 1, LZMA_CHECK_CRC32) == LZMA_OK);
	Bytes out(10'000);
	z.next_in = plain.data();
	z.avail_in = plain.size();
	z.next_out = out.data();
	z.avail_out = out.size();
	REQUIRE(lzma_code(&z, LZMA_SYNC_FLUSH) == LZMA_STREAM_END);
	out.resize(z.total_out);
	lzma_end(&z);
	return out;
}

Bytes zstd_so_far(Bytes plain)
{
	ZSTD_CCtx *const context = ZSTD_createCCtx();
	Bytes out(10'000);
	ZSTD_inBuffer from{plain.data(), plain.size(), 0};
	ZSTD_outBuffer to{out.data(), out.size(), 0};
	REQUIRE(ZSTD_compressStream2(context, &to, &from, ZSTD_e_flush) == 0);
	out.resize(to.pos);
	ZSTD_freeCCtx(context);
	return out;
}

// A pipe that brought some bytes, and whose writer has no more yet.
class Silent final : public traffic::ByteStream {
public:
	explicit Silent(Bytes bytes) : bytes_(std::move(bytes)) {}
	size_t read(uint8_t *to, size_t room) override
	{
		if (would_wait())
			throw std::logic_error("a read that would wait");
		const size_t count = std::min(room, bytes_.size() - at_);
		std::memcpy(to, bytes_.data() + at_, count);
		at_ += count;
		return count;
	}
	bool would_wait() override { return at_ == bytes_.size(); }

private:
	Bytes bytes_;
	size_t at_ = 0;
};

} // namespace

TEST_CASE("a compressed pipe gives out what has come, and does not wait for more first")
{
	const struct {
		const char *name;
		Bytes (*pack)(Bytes);
	} all[] = {{"none", [](Bytes plain) { return plain; }},
	           {"gzip", gzip_so_far},
	           {"xz", xz_so_far},
	           {"zstd", zstd_so_far}};
	for (const auto &[name, pack] : all) {
		CAPTURE(name);
		const auto reader =
			traffic::open_capture(std::make_unique<Silent>(pack(capture())), "a pipe");
		CHECK(std::string(reader->compression()) == name);
		traffic::FrameBatch batch;
		bool more = false;
		REQUIRE_NOTHROW(more = reader->fill_ready(batch));
		CHECK(more);
		CHECK(batch.frames.size() == nb_packets);
	}
}

TEST_CASE("zstd files that begin with a skippable frame, as pzstd writes them")
{
	const Bytes plain = capture();
	Bytes body(ZSTD_compressBound(plain.size()));
	body.resize(ZSTD_compress(body.data(), body.size(), plain.data(), plain.size(), 1));
	for (const uint8_t number : {0, 10, 15}) {
		Bytes whole = {
			static_cast<uint8_t>(0x50 + number), 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
		whole.insert(whole.end(), body.begin(), body.end());
		const ReadResult r = read_bytes(whole);
		CHECK(r.code == "");
		CHECK(r.compression == "zstd");
		CHECK(r.packets == read_bytes(plain).packets);
	}
}
