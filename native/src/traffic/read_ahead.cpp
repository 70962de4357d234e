#include "traffic/read_ahead.hpp"

namespace reframer::traffic {

namespace {
constexpr size_t frames_a_batch = 2048;
}

ReadAhead::ReadAhead(CaptureReader &reader, size_t max_batches, size_t depth)
	: reader_(reader), max_batches_(max_batches), depth_(depth), batch_bytes_(1 << 18)
{
	thread_ = std::thread([this] { run(); });
}

ReadAhead::ReadAhead(CaptureReader &reader, Here here)
	: reader_(reader), max_batches_(0), depth_(0), batch_bytes_(here.batch_bytes)
{
}

ReadAhead::~ReadAhead()
{
	if (!has_thread())
		return;
	{
		std::lock_guard lock(mutex_);
		stop_ = true;
	}
	changed_.notify_all();
	thread_.join();
}

void ReadAhead::run()
{
	for (;;) {
		FrameBatch *batch;
		{
			std::unique_lock lock(mutex_);
			changed_.wait(lock, [this] {
				return stop_ || (full_.size() < depth_ &&
				                 (!free_.empty() || batches_.size() < max_batches_));
			});
			if (stop_)
				return;
			if (free_.empty()) {
				batches_.push_back(std::make_unique<FrameBatch>(frames_a_batch, batch_bytes_));
				free_.push_back(batches_.back().get());
			}
			// The one given back last is the one still in a cache.
			batch = free_.back();
			free_.pop_back();
		}
		bool more = false;
		std::exception_ptr failure;
		try {
			more = reader_.fill(*batch);
		} catch (...) {
			failure = std::current_exception();
		}
		{
			std::lock_guard lock(mutex_);
			if (more) {
				full_.push_back(batch);
			} else {
				failure_ = failure;
				finished_ = true;
			}
		}
		changed_.notify_all();
		if (!more)
			return;
	}
}

FrameBatch *ReadAhead::next_here()
{
	if (finished_)
		return nullptr;
	if (free_.empty()) {
		batches_.push_back(std::make_unique<FrameBatch>(frames_a_batch, batch_bytes_));
		free_.push_back(batches_.back().get());
	}
	if (!reader_.fill(*free_.back())) {
		finished_ = true;
		return nullptr;
	}
	FrameBatch *batch = free_.back();
	free_.pop_back();
	return batch;
}

FrameBatch *ReadAhead::next()
{
	if (!has_thread())
		return next_here();
	std::unique_lock lock(mutex_);
	changed_.wait(lock, [this] { return finished_ || !full_.empty(); });
	if (!full_.empty()) {
		FrameBatch *batch = full_.front();
		full_.pop_front();
		lock.unlock();
		changed_.notify_all();
		return batch;
	}
	if (failure_)
		std::rethrow_exception(failure_);
	return nullptr;
}

void ReadAhead::give_back(FrameBatch *batch)
{
	{
		std::lock_guard lock(mutex_);
		free_.push_back(batch);
	}
	changed_.notify_all();
}

} // namespace reframer::traffic
