// gzip, xz and zstd in front of a byte stream, chosen by the first bytes of the file.
#include "traffic/byte_stream.hpp"
#include "traffic/capture_error.hpp"

#include <cstring>
#include <lzma.h>
#include <optional>
#include <zlib.h>
#include <zstd.h>

namespace reframer::traffic {
namespace {

constexpr size_t input_bytes = 1 << 18;

// xz files ask for the memory that their writer chose; 1 GiB covers `xz -9` many times over and
// keeps a hostile file from taking the machine.
constexpr uint64_t xz_memory_limit = 1ull << 30;

// Bytes that were looked at, then the rest.
class Replayed : public ByteStream {
public:
	Replayed(std::vector<uint8_t> head, std::unique_ptr<ByteStream> rest)
		: head_(std::move(head)), rest_(std::move(rest))
	{
	}
	size_t read(uint8_t *to, size_t room) override
	{
		if (taken_ == head_.size())
			return rest_->read(to, room);
		const size_t count = std::min(room, head_.size() - taken_);
		std::memcpy(to, head_.data() + taken_, count);
		taken_ += count;
		return count;
	}
	bool would_wait() override { return taken_ == head_.size() && rest_->would_wait(); }

private:
	std::vector<uint8_t> head_;
	size_t taken_ = 0;
	std::unique_ptr<ByteStream> rest_;
};

// What the three decompressors share: input in blocks, and errors that wait until all sound output
// has been given out.
class Decompressor : public ByteStream {
public:
	Decompressor(std::unique_ptr<ByteStream> inner, std::string file)
		: inner_(std::move(inner)), file_(std::move(file)), input_(input_bytes)
	{
	}

	size_t read(uint8_t *to, size_t room) override
	{
		size_t made = 0;
		while (made == 0 && !finished_) {
			if (failure_)
				throw CaptureError(*failure_);
			// What there was no room for comes before more is waited for.
			if (left_ == 0 && !input_end_ && !filled_) {
				const size_t got = inner_->read(input_.data(), input_.size());
				input_end_ = got == 0;
				next_ = input_.data();
				left_ = got;
				consumed_ += got;
			}
			made = step(to, room);
			filled_ = made == room;
		}
		return made;
	}
	bool would_wait() override
	{
		return left_ == 0 && !filled_ && !input_end_ && !finished_ && !failure_ &&
		       inner_->would_wait();
	}

protected:
	// Turns some of next_/left_ into output; sets finished_ at a proper end.
	virtual size_t step(uint8_t *to, size_t room) = 0;

	void fail(const std::string &what)
	{
		const uint64_t offset = consumed_ - left_;
		failure_.emplace("capture-damaged", file_, static_cast<int64_t>(offset),
		                 file_ + ": the " + compression() + " data is damaged at byte " +
		                     std::to_string(offset) + " of the compressed file (" + what +
		                     "); fetch the file again");
	}

	const uint8_t *next_ = nullptr;
	size_t left_ = 0;
	bool input_end_ = false;
	bool finished_ = false;

private:
	std::unique_ptr<ByteStream> inner_;
	std::string file_;
	std::vector<uint8_t> input_;
	uint64_t consumed_ = 0;
	bool filled_ = false; // there may be more without more input
	std::optional<CaptureError> failure_;
};

class Gzip final : public Decompressor {
public:
	Gzip(std::unique_ptr<ByteStream> inner, const std::string &file)
		: Decompressor(std::move(inner), file)
	{
		// 16: a gzip header and trailer, nothing else
		if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK)
			throw std::bad_alloc();
	}
	~Gzip() override { inflateEnd(&stream_); }
	Gzip(const Gzip &) = delete;
	Gzip &operator=(const Gzip &) = delete;
	const char *compression() const override { return "gzip"; }

private:
	size_t step(uint8_t *to, size_t room) override
	{
		if (between_members_) {
			// Tape blocks and some copiers pad with zeros behind the last member, as gzip allows.
			while (left_ > 0 && *next_ == 0) {
				next_++;
				left_--;
			}
			if (left_ == 0) {
				finished_ = input_end_;
				return 0;
			}
			inflateReset(&stream_);
			between_members_ = false;
		}
		if (left_ == 0 && input_end_) {
			fail("it ends early");
			return 0;
		}
		stream_.next_in = const_cast<Bytef *>(next_);
		stream_.avail_in = static_cast<uInt>(left_);
		stream_.next_out = to;
		stream_.avail_out = static_cast<uInt>(std::min<size_t>(room, 1u << 30));
		const uInt offered = stream_.avail_out;
		const int result = inflate(&stream_, Z_NO_FLUSH);
		next_ = stream_.next_in;
		left_ = stream_.avail_in;
		if (result == Z_STREAM_END)
			between_members_ = true;
		else if (result != Z_OK && result != Z_BUF_ERROR)
			fail(stream_.msg ? stream_.msg : "unreadable");
		return offered - stream_.avail_out;
	}

	z_stream stream_{};
	bool between_members_ = false;
};

class Xz final : public Decompressor {
public:
	Xz(std::unique_ptr<ByteStream> inner, const std::string &file)
		: Decompressor(std::move(inner), file)
	{
		if (lzma_stream_decoder(&stream_, xz_memory_limit, LZMA_CONCATENATED) != LZMA_OK)
			throw std::bad_alloc();
	}
	~Xz() override { lzma_end(&stream_); }
	Xz(const Xz &) = delete;
	Xz &operator=(const Xz &) = delete;
	const char *compression() const override { return "xz"; }

private:
	size_t step(uint8_t *to, size_t room) override
	{
		stream_.next_in = next_;
		stream_.avail_in = left_;
		stream_.next_out = to;
		stream_.avail_out = room;
		const lzma_ret result = lzma_code(&stream_, input_end_ ? LZMA_FINISH : LZMA_RUN);
		next_ = stream_.next_in;
		left_ = stream_.avail_in;
		if (result == LZMA_STREAM_END)
			finished_ = true;
		else if (result == LZMA_MEMLIMIT_ERROR)
			fail("it asks for more than 1 GiB of memory");
		else if (result == LZMA_BUF_ERROR && input_end_)
			fail("it ends early");
		else if (result != LZMA_OK && result != LZMA_BUF_ERROR)
			fail("unreadable");
		return room - stream_.avail_out;
	}

	lzma_stream stream_ = LZMA_STREAM_INIT;
};

class Zstd final : public Decompressor {
public:
	Zstd(std::unique_ptr<ByteStream> inner, const std::string &file)
		: Decompressor(std::move(inner), file), context_(ZSTD_createDCtx())
	{
		if (!context_)
			throw std::bad_alloc();
	}
	~Zstd() override { ZSTD_freeDCtx(context_); }
	Zstd(const Zstd &) = delete;
	Zstd &operator=(const Zstd &) = delete;
	const char *compression() const override { return "zstd"; }

private:
	size_t step(uint8_t *to, size_t room) override
	{
		if (left_ == 0 && between_frames_) {
			finished_ = input_end_;
			return 0;
		}
		ZSTD_inBuffer in{next_, left_, 0};
		ZSTD_outBuffer out{to, room, 0};
		const size_t result = ZSTD_decompressStream(context_, &out, &in);
		next_ += in.pos;
		left_ -= in.pos;
		if (ZSTD_isError(result))
			fail(ZSTD_getErrorName(result));
		else if (out.pos == 0 && left_ == 0 && input_end_ && result != 0)
			fail("it ends early");
		between_frames_ = result == 0;
		return out.pos;
	}

	ZSTD_DCtx *context_;
	bool between_frames_ = false;
};

} // namespace

std::unique_ptr<ByteStream> decompress(std::unique_ptr<ByteStream> inner, const std::string &file)
{
	constexpr uint8_t gzip_magic[] = {0x1f, 0x8b};
	constexpr uint8_t xz_magic[] = {0xfd, '7', 'z', 'X', 'Z', 0x00};
	constexpr uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
	// A frame that says something about those behind it, as pzstd writes; its first four bits are free.
	constexpr uint8_t skippable_magic[] = {0x50, 0x2a, 0x4d, 0x18};
	std::vector<uint8_t> head(8);
	size_t filled = 0;
	while (filled < head.size()) {
		const size_t got = inner->read(head.data() + filled, head.size() - filled);
		if (got == 0)
			break;
		filled += got;
	}
	head.resize(filled);
	const auto starts_with = [](const std::vector<uint8_t> &bytes, const auto &magic) {
		return bytes.size() >= sizeof(magic) &&
		       std::memcmp(bytes.data(), magic, sizeof(magic)) == 0;
	};
	const bool gzip = starts_with(head, gzip_magic);
	const bool xz = starts_with(head, xz_magic);
	std::vector<uint8_t> unnumbered = head;
	if (!unnumbered.empty())
		unnumbered[0] &= 0xf0;
	const bool zstd = starts_with(head, zstd_magic) || starts_with(unnumbered, skippable_magic);
	auto whole = std::make_unique<Replayed>(std::move(head), std::move(inner));
	if (gzip)
		return std::make_unique<Gzip>(std::move(whole), file);
	if (xz)
		return std::make_unique<Xz>(std::move(whole), file);
	if (zstd)
		return std::make_unique<Zstd>(std::move(whole), file);
	return whole;
}

} // namespace reframer::traffic
