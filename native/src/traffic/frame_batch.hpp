// Frames together with their bytes: what a reader fills and hands over whole.
#pragma once

#include "packet/frame.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace reframer::traffic {

// Where frames were captured. `link_field` is the link type as the file has it, with the length of
// the frame check sequence in its upper bits (pcap-linktype(7)); a writer passes it on.
struct CaptureInterface {
	uint32_t link_field = 1;
	uint32_t snaplen = 0; // 0: no limit stated
	uint8_t fcs_bytes = 0;
	bool operator==(const CaptureInterface &) const = default;
};

inline uint8_t fcs_bytes_of(uint32_t link_field)
{
	constexpr uint32_t fcs_length_present = 0x04000000;
	return link_field & fcs_length_present ? static_cast<uint8_t>((link_field >> 28) * 2)
	                                       : uint8_t{0};
}

using CaptureInterfaces = std::vector<CaptureInterface>;

class FrameBatch {
public:
	// Defaults: 256 KiB keeps a batch in the second-level cache on its way from reader to worker.
	explicit FrameBatch(size_t max_frames_ = 2048, size_t bytes = 1 << 18)
		: max_frames(max_frames_), own_(bytes), bytes_(own_.data()), size_(bytes)
	{
		frames.reserve(max_frames);
	}
	FrameBatch(const FrameBatch &) = delete;
	FrameBatch &operator=(const FrameBatch &) = delete;

	// Puts frames into memory of the caller's from now on, of each at most `snaplen` bytes (0: all).
	// That memory does not grow: a frame that alone is too large is left to the next batch, see needed().
	void use(uint8_t *bytes, size_t size, size_t max_frames_, uint32_t snaplen)
	{
		external_ = true;
		bytes_ = bytes;
		size_ = size;
		max_frames = max_frames_;
		snaplen_ = snaplen == 0 ? UINT32_MAX : snaplen;
	}
	// Bytes for which an empty batch in the caller's memory had no room; 0: it had.
	size_t needed() const { return needed_; }

	void clear()
	{
		frames.clear();
		used_ = 0;
		needed_ = 0;
	}

	// Room for the bytes of one more frame, or null when the batch is full. An empty batch takes a
	// frame of any size.
	uint8_t *room(size_t size)
	{
		if (frames.size() >= max_frames)
			return nullptr;
		if (size > size_ - used_) [[unlikely]] {
			if (!frames.empty())
				return nullptr;
			if (external_) {
				needed_ = size;
				return nullptr;
			}
			own_.resize(size);
			bytes_ = own_.data();
			size_ = size;
		}
		return bytes_ + used_;
	}
	// Bytes that are kept of a frame.
	uint32_t kept(uint32_t captured) const { return std::min(captured, snaplen_); }
	// `frame.data` came from room().
	void add(packet::Frame frame)
	{
		frame.captured = kept(frame.captured);
		used_ += frame.captured;
		frames.push_back(frame);
	}

	std::vector<packet::Frame> frames;
	std::shared_ptr<const CaptureInterfaces> interfaces; // as known when the batch was filled
	size_t max_frames;

private:
	std::vector<uint8_t> own_;
	uint8_t *bytes_;
	size_t size_;
	size_t used_ = 0, needed_ = 0;
	uint32_t snaplen_ = UINT32_MAX;
	bool external_ = false;
};

} // namespace reframer::traffic
