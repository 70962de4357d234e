// A file that takes its name only when it is complete, written by a thread of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace reframer::traffic {

// Bytes go to a file in the target's folder, which takes the target's name in finish(): an
// interrupted run leaves no file that looks complete, and none at all where the file system knows
// files without a name (O_TMPFILE: ext4, XFS, Btrfs, tmpfs; elsewhere it is called TARGET.PID-0.part
// and stays when the process is killed). A target that exists and is no regular file (a pipe, a
// device), or is a descriptor (see descriptor_of()), is written directly.
// The thread is there because writing to the page cache costs as much as making the bytes: on two
// cores it doubles the packets per second.
class OutputFile {
public:
	// `inputs` are files that must not be overwritten while they are read.
	OutputFile(const std::string &file, const std::vector<std::string> &inputs);
	~OutputFile(); // removes what finish() has not completed
	OutputFile(const OutputFile &) = delete;
	OutputFile &operator=(const OutputFile &) = delete;

	// Takes the first `used` bytes; the caller gets another buffer of the same size back in place.
	// All three throw CaptureError "capture-write" when bytes could not be written, now or before.
	void append(std::vector<uint8_t> &buffer, size_t used);
	void wait(); // until everything is written
	void finish();

	// Begins anew. What was written so far can be read back until forget_first().
	bool can_restart() const { return !direct_; }
	void restart();
	// Bytes from the first attempt; fewer at its end.
	size_t read_first(uint64_t at, uint8_t *to, size_t size) const;
	void forget_first();

	uint64_t appended() const { return appended_; }
	const std::string &name() const { return file_; }
	[[noreturn]] void fail(const std::string &what, int error, uint64_t offset) const;

private:
	void open_part();
	void name_part();
	void run();
	void write_all(const uint8_t *data, size_t size);
	void throw_failure() const;

	std::string file_;    // as named by the caller, for messages
	std::string target_;  // with symbolic links resolved
	std::string part_;    // the name of what is written until finish(), where it needs one
	bool direct_ = false; // the target itself is written
	std::string first_part_;
	int fd_ = -1, first_fd_ = -1;
	uint64_t appended_ = 0;
	bool finished_ = false;

	std::mutex mutex_;
	std::condition_variable changed_;
	std::vector<uint8_t> waiting_; // to be written by the thread
	size_t waiting_used_ = 0;      // 0: none waits
	bool writing_ = false, stop_ = false;
	uint64_t written_ = 0;
	int error_ = 0;
	std::thread thread_;
};

} // namespace reframer::traffic
