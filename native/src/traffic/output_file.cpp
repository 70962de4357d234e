#include "traffic/output_file.hpp"

#include "traffic/byte_stream.hpp"
#include "traffic/capture_error.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace reframer::traffic {

OutputFile::OutputFile(const std::string &file, const std::vector<std::string> &inputs)
	: file_(file), target_(file)
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
	if (const int open_already = descriptor_of(file); open_already >= 0) {
		direct_ = true;
		fd_ = ::fcntl(open_already, F_DUPFD_CLOEXEC, 0);
		if (fd_ < 0)
			fail("cannot write", errno, 0);
		return;
	}
	if (exists && S_ISDIR(out.st_mode))
		fail("cannot write", EISDIR, 0);
	if (exists && !S_ISREG(out.st_mode)) {
		direct_ = true;
		fd_ = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
		if (fd_ < 0)
			fail("cannot open for writing", errno, 0);
		return;
	}
	if (exists)
		if (char *resolved = realpath(file.c_str(), nullptr)) {
			target_ = resolved;
			std::free(resolved);
		}
	open_part();
}

OutputFile::~OutputFile()
{
	if (thread_.joinable()) {
		{
			std::lock_guard lock(mutex_);
			stop_ = true;
		}
		changed_.notify_all();
		thread_.join();
	}
	if (fd_ >= 0)
		::close(fd_);
	forget_first();
	if (!finished_ && !part_.empty())
		::unlink(part_.c_str());
}

void OutputFile::fail(const std::string &what, int error, uint64_t offset) const
{
	std::string advice;
	if (error == ENOSPC || error == EDQUOT)
		advice = "; free some space or name a file on another disk";
	else if (error == EACCES || error == EROFS || error == ENOENT || error == EISDIR)
		advice = "; check the folder and the permissions";
	throw CaptureError("capture-write", file_, static_cast<int64_t>(offset),
	                   what + " " + file_ + " at byte " + std::to_string(offset) + ": " +
	                       std::strerror(error) + advice);
}

// In the target's folder, so that the final rename stays on one file system. Without a name where
// the file system can: whatever ends the process, nothing is left then.
void OutputFile::open_part()
{
	const size_t slash = target_.rfind('/');
	const std::string folder = slash == std::string::npos ? "." : target_.substr(0, slash + 1);
	part_.clear();
	if (::access("/proc/self/fd", X_OK) == 0) {
		fd_ = ::open(folder.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
		if (fd_ >= 0)
			return;
	}
	for (int attempt = 0;; attempt++) {
		part_ = target_ + "." + std::to_string(getpid()) + "-" + std::to_string(attempt) + ".part";
		fd_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd_ >= 0)
			return;
		const int error = errno;
		if (error != EEXIST || attempt > 100) {
			part_.clear();
			fail("cannot create", error, 0);
		}
	}
}

// The name that open_part() could do without, for the moment before finish() renames it.
void OutputFile::name_part()
{
	const std::string open_file = "/proc/self/fd/" + std::to_string(fd_);
	for (int attempt = 0;; attempt++) {
		const std::string name =
			target_ + "." + std::to_string(getpid()) + "-" + std::to_string(attempt) + ".part";
		if (::linkat(AT_FDCWD, open_file.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
			part_ = name;
			return;
		}
		if (errno != EEXIST || attempt > 100)
			fail("cannot name the finished file", errno, written_);
	}
}

void OutputFile::append(std::vector<uint8_t> &buffer, size_t used)
{
	if (used == 0)
		return;
	std::unique_lock lock(mutex_);
	changed_.wait(lock, [this] { return waiting_used_ == 0 || error_; });
	throw_failure();
	waiting_.resize(buffer.size());
	std::swap(waiting_, buffer);
	waiting_used_ = used;
	appended_ += used;
	// Small files are done in one piece, and need the thread only once.
	if (!thread_.joinable())
		thread_ = std::thread([this] { run(); });
	lock.unlock();
	changed_.notify_all();
}

void OutputFile::run()
{
	std::vector<uint8_t> current;
	std::unique_lock lock(mutex_);
	for (;;) {
		changed_.wait(lock, [this] { return waiting_used_ > 0 || stop_; });
		if (waiting_used_ == 0 || error_)
			return;
		current.resize(waiting_.size());
		std::swap(current, waiting_);
		const size_t used = waiting_used_;
		waiting_used_ = 0;
		writing_ = true;
		lock.unlock();
		changed_.notify_all();
		write_all(current.data(), used);
		lock.lock();
		writing_ = false;
		changed_.notify_all();
		if (error_)
			return;
	}
}

// Only the thread is here; others look at what it changes after taking the lock.
void OutputFile::write_all(const uint8_t *data, size_t size)
{
	size_t done = 0;
	int error = 0;
	while (done < size && !error) {
		const ssize_t count = ::write(fd_, data + done, size - done);
		if (count >= 0)
			done += static_cast<size_t>(count);
		else if (errno == EAGAIN) // a pipe that another process has set so
			wait_for(fd_, POLLOUT);
		else if (errno != EINTR)
			error = errno;
	}
	std::lock_guard lock(mutex_);
	written_ += done;
	error_ = error;
}

void OutputFile::throw_failure() const
{
	if (error_)
		fail("cannot write", error_, written_);
}

void OutputFile::wait()
{
	std::unique_lock lock(mutex_);
	changed_.wait(lock, [this] { return (waiting_used_ == 0 && !writing_) || error_; });
	throw_failure();
}

void OutputFile::restart()
{
	wait();
	first_fd_ = fd_;
	first_part_ = part_;
	fd_ = -1;
	open_part();
	appended_ = written_ = 0;
}

size_t OutputFile::read_first(uint64_t at, uint8_t *to, size_t size) const
{
	size_t done = 0;
	while (done < size) {
		const ssize_t got =
			::pread(first_fd_, to + done, size - done, static_cast<off_t>(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			fail("cannot read back", errno, at + done);
		if (got == 0)
			break;
		done += static_cast<size_t>(got);
	}
	return done;
}

void OutputFile::forget_first()
{
	if (first_fd_ < 0)
		return;
	::close(first_fd_);
	if (!first_part_.empty())
		::unlink(first_part_.c_str());
	first_fd_ = -1;
}

void OutputFile::finish()
{
	wait();
	if (!direct_ && part_.empty())
		name_part();
	// Some file systems report a full disk here first.
	const int fd = fd_;
	fd_ = -1;
	if (::close(fd) != 0)
		fail("cannot close", errno, written_);
	if (!part_.empty() && ::rename(part_.c_str(), target_.c_str()) != 0)
		fail("cannot rename the finished file to", errno, written_);
	finished_ = true;
}

} // namespace reframer::traffic
