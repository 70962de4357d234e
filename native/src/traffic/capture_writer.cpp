#include "traffic/capture_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace reframer::traffic {
namespace {

// 1 MiB a system call; more does not make writing to the page cache faster.
constexpr size_t buffer_bytes = 1 << 20;
constexpr uint64_t billion = 1'000'000'000;

constexpr uint8_t nanoseconds = 9; // if_tsresol: 10^-9 s

} // namespace

CaptureWriter::CaptureWriter(const std::string &file, const std::vector<std::string> &inputs)
    : file_(file), target_(file), buffer_(buffer_bytes)
{
	struct stat out;
	const bool exists = stat(file.c_str(), &out) == 0;
	for (const std::string &input : inputs) {
		struct stat in;
		if (exists && stat(input.c_str(), &in) == 0 && in.st_dev == out.st_dev &&
		    in.st_ino == out.st_ino)
			throw CaptureError("capture-write", file, -1,
			                   file + " is the file that is read; name another file to write to");
	}
	if (exists && S_ISDIR(out.st_mode))
		fail("cannot write", EISDIR);
	if (exists && !S_ISREG(out.st_mode)) {
		fd_ = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
		if (fd_ < 0)
			fail("cannot open for writing", errno);
		return;
	}
	if (exists)
		if (char *resolved = realpath(file.c_str(), nullptr)) {
			target_ = resolved;
			std::free(resolved);
		}
	open_part();
}

CaptureWriter::~CaptureWriter()
{
	if (fd_ >= 0)
		::close(fd_);
	if (!finished_ && !part_.empty())
		::unlink(part_.c_str());
}

void CaptureWriter::fail(const std::string &what, int error) const
{
	std::string advice;
	if (error == ENOSPC || error == EDQUOT)
		advice = "; free some space or name a file on another disk";
	else if (error == EACCES || error == EROFS || error == ENOENT || error == EISDIR)
		advice = "; check the folder and the permissions";
	throw CaptureError("capture-write", file_, static_cast<int64_t>(flushed_),
	                   what + " " + file_ + " (byte " + std::to_string(flushed_) +
	                       "): " + std::strerror(error) + advice);
}

// A name of its own in the target's folder, so that the final rename stays on one file system.
void CaptureWriter::open_part()
{
	for (int attempt = 0;; attempt++) {
		part_ = target_ + "." + std::to_string(getpid()) + "-" + std::to_string(attempt) + ".part";
		fd_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd_ >= 0)
			return;
		const int error = errno;
		if (error != EEXIST || attempt > 100) {
			part_.clear();
			fail("cannot create", error);
		}
	}
}

void CaptureWriter::flush()
{
	size_t done = 0;
	while (done < used_) {
		const ssize_t count = ::write(fd_, buffer_.data() + done, used_ - done);
		if (count < 0) {
			if (errno == EINTR)
				continue;
			fail("cannot write", errno);
		}
		done += static_cast<size_t>(count);
		flushed_ += static_cast<size_t>(count);
	}
	used_ = 0;
}

void CaptureWriter::reserve(size_t size)
{
	if (buffer_.size() - used_ < size)
		flush();
	if (buffer_.size() < size)
		buffer_.resize(size);
}

// Room was reserved.
void CaptureWriter::put(const void *data, size_t size)
{
	if (size)
		std::memcpy(buffer_.data() + used_, data, size);
	used_ += size;
}

template <typename... Words> void CaptureWriter::put_words(Words... words)
{
	const uint32_t all[] = {static_cast<uint32_t>(words)...};
	put(all, sizeof(all));
}

void CaptureWriter::put_pcap_header(uint32_t link_field)
{
	// nanosecond magic, version 2.4, no time zone, the largest snapshot length of the format
	reserve(24);
	put_words(0xa1b23c4d, 2 | 4 << 16, 0, 0, max_pcap_frame, link_field);
	link_field_ = link_field;
}

void CaptureWriter::put_record(const packet::Frame &frame, uint64_t time_ns)
{
	put_words(time_ns / billion, time_ns % billion, frame.captured, frame.wire);
	put(frame.data, frame.captured);
}

void CaptureWriter::write_slow(const packet::Frame &frame, uint64_t time_ns,
                               const CaptureInterface &interface)
{
	if (link_field_ == no_link && !pcapng_)
		put_pcap_header(interface.link_field);
	if (!pcapng_ && (interface.link_field != link_field_ || frame.captured > max_pcap_frame ||
	                 time_ns >= end_of_pcap_time))
		turn_into_pcapng();
	if (pcapng_) {
		put_packet_block(frame, time_ns, pcapng_interface(interface));
		return;
	}
	reserve(16 + frame.captured);
	put_record(frame, time_ns);
}

uint32_t CaptureWriter::pcapng_interface(const CaptureInterface &interface)
{
	const auto same = [&](const CaptureInterface &known) {
		return known.link_field == interface.link_field;
	};
	const auto found = std::find_if(interfaces_.begin(), interfaces_.end(), same);
	if (found != interfaces_.end())
		return static_cast<uint32_t>(found - interfaces_.begin());
	interfaces_.push_back(interface);
	reserve(64);
	const uint32_t length = interface.fcs_bytes ? 20 + 20 : 20 + 12;
	put_words(1, length, interface.link_field & 0xffff, 0);
	put_words(9 | 1 << 16, nanoseconds);
	if (interface.fcs_bytes)
		put_words(13 | 1 << 16, interface.fcs_bytes);
	put_words(0, length);
	return static_cast<uint32_t>(interfaces_.size() - 1);
}

void CaptureWriter::put_packet_block(const packet::Frame &frame, uint64_t time_ns,
                                     uint32_t interface)
{
	const uint32_t padding = (4 - frame.captured % 4) % 4;
	const uint32_t length = 32 + frame.captured + padding;
	reserve(length);
	put_words(6, length, interface, time_ns >> 32, time_ns, frame.captured, frame.wire);
	put(frame.data, frame.captured);
	constexpr uint8_t zeros[4] = {};
	put(zeros, padding);
	put_words(length);
}

void CaptureWriter::turn_into_pcapng()
{
	if (part_.empty() && flushed_ > 0)
		throw CaptureError("capture-write", file_, static_cast<int64_t>(flushed_),
		                   file_ + " cannot be written as pcap any more (second link type, long "
		                   "frame or late time) and a pipe cannot be rewritten as pcapng; name a "
		                   "regular file");
	// What is there is our own pcap: a header and whole records.
	std::vector<uint8_t> start(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(used_));
	const int old_fd = fd_;
	const std::string old_part = part_;
	if (!part_.empty()) {
		flush();
		start.clear();
		open_part();
	}
	used_ = 0;
	flushed_ = 0;
	pcapng_ = true;
	reserve(28);
	put_words(0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28);
	const CaptureInterface old_interface{
	    link_field_, 0,
	    link_field_ & 0x04000000 ? static_cast<uint8_t>((link_field_ >> 28) * 2) : uint8_t{0}};

	std::vector<uint8_t> record(16 + max_pcap_frame);
	uint64_t at = 24;
	const auto load = [&](uint64_t from, uint8_t *to, size_t size) -> bool {
		if (part_.empty()) {
			if (from + size > start.size())
				return false;
			std::memcpy(to, start.data() + from, size);
			return true;
		}
		size_t done = 0;
		while (done < size) {
			const ssize_t got = ::pread(old_fd, to + done, size - done,
			                            static_cast<off_t>(from + done));
			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0)
				fail("cannot read back", errno);
			if (got == 0)
				return false;
			done += static_cast<size_t>(got);
		}
		return true;
	};
	try {
		while (load(at, record.data(), 16)) {
			uint32_t words[4];
			std::memcpy(words, record.data(), 16);
			if (!load(at + 16, record.data() + 16, words[2]))
				fail("cannot read back", EIO);
			const packet::Frame frame{record.data() + 16, words[2], words[3], 0,
			                          packet::LinkType{}, 0};
			put_packet_block(frame, words[0] * billion + words[1],
			                 pcapng_interface(old_interface));
			at += 16 + words[2];
		}
	} catch (...) {
		if (!old_part.empty()) {
			::close(old_fd);
			::unlink(old_part.c_str());
		}
		throw;
	}
	if (!old_part.empty()) {
		::close(old_fd);
		::unlink(old_part.c_str());
	}
}

void CaptureWriter::finish(uint32_t link_field_if_empty)
{
	if (link_field_ == no_link && !pcapng_)
		put_pcap_header(link_field_if_empty);
	flush();
	// Some file systems report a full disk here first.
	const int fd = fd_;
	fd_ = -1;
	if (::close(fd) != 0)
		fail("cannot close", errno);
	if (!part_.empty() && ::rename(part_.c_str(), target_.c_str()) != 0)
		fail("cannot rename the finished file to", errno);
	finished_ = true;
}

} // namespace reframer::traffic
