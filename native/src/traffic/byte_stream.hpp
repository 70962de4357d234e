// The bytes of a file, decompressed where it is gzip, xz or zstd. Streaming: memory does not grow
// with the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace reframer::traffic {

class ByteStream {
public:
	virtual ~ByteStream() = default;
	// Gives at least one byte; 0 is the end. Throws CaptureError, but only when it has nothing left
	// to give: bytes before the damage come first.
	virtual size_t read(uint8_t *to, size_t room) = 0;
	virtual const char *compression() const { return "none"; }
	// Would read() wait for somebody to write? May say no where it does not know.
	virtual bool would_wait() { return false; }
};

// The number of an open descriptor that a name stands for: "/dev/fd/N", "/proc/self/fd/N",
// "/dev/stdin", "/dev/stdout"; -1 for any other name. Such a name cannot always be opened again: a
// socket cannot, and a file would be read from its start.
int descriptor_of(const std::string &file);

// Until the descriptor is ready, or has an error to tell: poll(2) events. For descriptors that came
// from elsewhere and do not block.
void wait_for(int descriptor, short events);

// The file itself; "-" is standard input. A descriptor `cancel` that becomes readable ends a read
// that waits: it throws Cancelled.
std::unique_ptr<ByteStream> open_file_stream(const std::string &file, int cancel = -1);
// Bytes in memory (tests, fuzzing); they must outlive the stream.
std::unique_ptr<ByteStream> open_memory_stream(const uint8_t *data, size_t size);
// Looks at the first bytes of `inner` and puts the decompressor in front that they ask for.
std::unique_ptr<ByteStream> decompress(std::unique_ptr<ByteStream> inner, const std::string &file);

// A window on a stream: look at bytes ahead, then take them. Keeps the exact position.
class InputBuffer {
public:
	explicit InputBuffer(std::unique_ptr<ByteStream> stream);

	// Makes `wanted` bytes readable at data(), or as many as there are before the end.
	// Returns how many can be read there now (may be more than wanted).
	size_t need(size_t wanted)
	{
		if (end_ - begin_ >= wanted) [[likely]]
			return end_ - begin_;
		return refill(wanted);
	}
	const uint8_t *data() const { return buffer_.get() + begin_; }
	uint8_t *data() { return buffer_.get() + begin_; }
	size_t available() const { return end_ - begin_; }
	void take(size_t count)
	{
		begin_ += count;
		offset_ += count;
	}
	// Takes `count` bytes that need not fit the window. Returns false when the end comes first.
	bool skip(uint64_t count);
	uint64_t offset() const { return offset_; }
	const char *compression() const { return stream_->compression(); }
	// Is there nothing to look at before somebody writes more?
	bool would_wait() const { return begin_ == end_ && !at_end_ && stream_->would_wait(); }

private:
	size_t refill(size_t wanted);

	std::unique_ptr<ByteStream> stream_;
	// Not zeroed: of a small file most of it is never touched.
	std::unique_ptr<uint8_t[]> buffer_;
	size_t size_ = 0;
	size_t begin_ = 0, end_ = 0;
	uint64_t offset_ = 0;
	bool at_end_ = false;
};

} // namespace reframer::traffic
