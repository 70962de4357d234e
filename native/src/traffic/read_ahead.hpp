// Runs a reader on a thread of its own, some batches ahead of the consumer: reading and
// decompressing overlap with the work on the frames.
#pragma once

#include "traffic/capture.hpp"

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

namespace reframer::traffic {

class ReadAhead {
public:
	// At most `max_batches`, of 256 KiB unless a frame is longer, exist at a time; at most `depth`
	// of them wait to be taken.
	explicit ReadAhead(CaptureReader &reader, size_t max_batches = 12, size_t depth = 8);
	// All in the caller's thread, in batches of `batch_bytes`: for files so small that to begin a
	// thread would take longer than to read them.
	struct Here {
		size_t batch_bytes;
	};
	ReadAhead(CaptureReader &reader, Here here);
	~ReadAhead();
	ReadAhead(const ReadAhead &) = delete;
	ReadAhead &operator=(const ReadAhead &) = delete;

	// The next batch, or null at the end. Throws what the reader threw, after the batches before
	// it. Afterwards (null or throw) the reader is at rest and may be asked for notes.
	FrameBatch *next();
	// Batches may be given back in any order, or kept for long; while all are kept, next() would
	// wait for ever: keep at most max_batches - 1.
	void give_back(FrameBatch *batch);
	bool has_thread() const { return thread_.joinable(); }

private:
	void run();
	FrameBatch *next_here();

	CaptureReader &reader_;
	const size_t max_batches_, depth_, batch_bytes_;
	std::vector<std::unique_ptr<FrameBatch>> batches_;
	std::mutex mutex_;
	std::condition_variable changed_;
	std::deque<FrameBatch *> free_, full_;
	std::exception_ptr failure_;
	bool finished_ = false, stop_ = false;
	std::thread thread_;
};

} // namespace reframer::traffic
