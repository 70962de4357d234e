#include "traffic/byte_stream.hpp"

#include "traffic/capture_error.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace reframer::traffic {
namespace {

// 1 MiB: one system call per some thousand small packets, and still inside a second-level cache.
constexpr size_t window_bytes = 1 << 20;

class FileStream : public ByteStream {
public:
	FileStream(const std::string &file, int cancel) : file_(file), cancel_(cancel)
	{
		const int open_already = file == "-" ? STDIN_FILENO : descriptor_of(file);
		fd_ = open_already >= 0 ? ::fcntl(open_already, F_DUPFD_CLOEXEC, 0)
		                        : ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
		if (fd_ < 0)
			throw CaptureError("capture-open", file, -1,
			                   "cannot open " + file + ": " + std::strerror(errno) +
			                       "; check the name and the permissions");
		struct stat status;
		if (fstat(fd_, &status) == 0 && S_ISDIR(status.st_mode)) {
			::close(fd_);
			throw CaptureError("capture-open", file, -1,
			                   file + " is a directory; name a capture file inside it");
		}
		posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL);
	}
	~FileStream() override { ::close(fd_); }
	FileStream(const FileStream &) = delete;
	FileStream &operator=(const FileStream &) = delete;

	size_t read(uint8_t *to, size_t room) override
	{
		for (;;) {
			if (cancel_ >= 0)
				wait_or_cancel();
			const ssize_t got = ::read(fd_, to, room);
			if (got >= 0) {
				offset_ += static_cast<uint64_t>(got);
				return static_cast<size_t>(got);
			}
			if (errno == EAGAIN)
				wait_for(fd_, POLLIN);
			else if (errno != EINTR)
				throw CaptureError("capture-read", file_, static_cast<int64_t>(offset_),
				                   "reading " + file_ + " failed at byte " +
				                       std::to_string(offset_) + ": " + std::strerror(errno) +
				                       "; check the disk");
		}
	}

	bool would_wait() override
	{
		pollfd waiting = {fd_, POLLIN, 0};
		return ::poll(&waiting, 1, 0) == 0;
	}

private:
	void wait_or_cancel() const
	{
		pollfd waiting[] = {{fd_, POLLIN, 0}, {cancel_, POLLIN, 0}};
		while (::poll(waiting, 2, -1) < 0 && errno == EINTR)
			;
		if (waiting[1].revents)
			throw Cancelled();
	}

	std::string file_;
	int fd_ = -1;
	int cancel_;
	uint64_t offset_ = 0;
};

class MemoryStream : public ByteStream {
public:
	MemoryStream(const uint8_t *data, size_t size) : data_(data), left_(size) {}
	size_t read(uint8_t *to, size_t room) override
	{
		const size_t count = std::min(room, left_);
		if (count)
			std::memcpy(to, data_, count);
		data_ += count;
		left_ -= count;
		return count;
	}

private:
	const uint8_t *data_;
	size_t left_;
};

} // namespace

int descriptor_of(const std::string &file)
{
	if (file == "/dev/stdin")
		return STDIN_FILENO;
	if (file == "/dev/stdout")
		return STDOUT_FILENO;
	for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
		if (!file.starts_with(folder))
			continue;
		int number = -1;
		const char *end = file.data() + file.size();
		const auto [at, error] = std::from_chars(file.data() + folder.size(), end, number);
		return error == std::errc{} && at == end ? number : -1;
	}
	return -1;
}

void wait_for(int descriptor, short events)
{
	pollfd waiting = {descriptor, events, 0};
	::poll(&waiting, 1, -1);
}

std::unique_ptr<ByteStream> open_file_stream(const std::string &file, int cancel)
{
	return std::make_unique<FileStream>(file, cancel);
}

std::unique_ptr<ByteStream> open_memory_stream(const uint8_t *data, size_t size)
{
	return std::make_unique<MemoryStream>(data, size);
}

InputBuffer::InputBuffer(std::unique_ptr<ByteStream> stream)
	: stream_(std::move(stream)), buffer_(std::make_unique_for_overwrite<uint8_t[]>(window_bytes)),
	  size_(window_bytes)
{
}

size_t InputBuffer::refill(size_t wanted)
{
	if (begin_ > 0) {
		std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
		end_ -= begin_;
		begin_ = 0;
	}
	if (size_ < wanted) {
		auto larger = std::make_unique_for_overwrite<uint8_t[]>(wanted);
		std::memcpy(larger.get(), buffer_.get(), end_);
		buffer_ = std::move(larger);
		size_ = wanted;
	}
	while (end_ < wanted && !at_end_) {
		const size_t got = stream_->read(buffer_.get() + end_, size_ - end_);
		at_end_ = got == 0;
		end_ += got;
	}
	return end_;
}

bool InputBuffer::skip(uint64_t count)
{
	while (count > 0) {
		const size_t step = static_cast<size_t>(std::min<uint64_t>(count, window_bytes));
		const size_t got = std::min(need(step), step);
		take(got);
		count -= got;
		if (got < step)
			return false;
	}
	return true;
}

} // namespace reframer::traffic
