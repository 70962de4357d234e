// Bytes that another thread hands over: a stream of the caller's, as a ByteStream.
#pragma once

#include "traffic/byte_stream.hpp"
#include "traffic/capture_error.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <vector>

namespace reframer::capture {

// Outlives the reader: shared by the capture and the stream inside its reader.
class Feed {
public:
	size_t push(const uint8_t *bytes, size_t size)
	{
		std::lock_guard lock(mutex_);
		if (size == 0)
			ended_ = true;
		else
			chunks_.emplace_back(bytes, bytes + size);
		waiting_ += size;
		changed_.notify_all();
		return waiting_;
	}
	void cancel()
	{
		std::lock_guard lock(mutex_);
		cancelled_ = true;
		changed_.notify_all();
	}
	bool empty()
	{
		std::lock_guard lock(mutex_);
		return chunks_.empty() && !ended_;
	}
	size_t waiting()
	{
		std::lock_guard lock(mutex_);
		return waiting_;
	}
	size_t pull(uint8_t *to, size_t room)
	{
		std::unique_lock lock(mutex_);
		changed_.wait(lock, [this] { return cancelled_ || ended_ || !chunks_.empty(); });
		if (cancelled_)
			throw traffic::Cancelled();
		if (chunks_.empty())
			return 0;
		const std::vector<uint8_t> &front = chunks_.front();
		const size_t count = std::min(room, front.size() - taken_);
		std::memcpy(to, front.data() + taken_, count);
		taken_ += count;
		waiting_ -= count;
		if (taken_ == front.size()) {
			chunks_.pop_front();
			taken_ = 0;
		}
		return count;
	}

private:
	std::mutex mutex_;
	std::condition_variable changed_;
	std::deque<std::vector<uint8_t>> chunks_;
	size_t taken_ = 0, waiting_ = 0;
	bool ended_ = false, cancelled_ = false;
};

class FeedStream final : public traffic::ByteStream {
public:
	explicit FeedStream(std::shared_ptr<Feed> feed) : feed_(std::move(feed)) {}
	size_t read(uint8_t *to, size_t room) override { return feed_->pull(to, room); }
	bool would_wait() override { return feed_->empty(); }

private:
	std::shared_ptr<Feed> feed_;
};

} // namespace reframer::capture
