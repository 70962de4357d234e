// Frames together with their bytes: what a reader fills and hands over whole.
#pragma once

#include "packet/frame.hpp"

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
		: max_frames(max_frames_), bytes_(bytes)
	{
		frames.reserve(max_frames);
	}

	void clear()
	{
		frames.clear();
		used_ = 0;
	}

	// Room for the bytes of one more frame, or null when the batch is full. An empty batch takes a
	// frame of any size.
	uint8_t *room(size_t size)
	{
		if (frames.size() >= max_frames)
			return nullptr;
		if (size > bytes_.size() - used_) [[unlikely]] {
			if (!frames.empty())
				return nullptr;
			bytes_.resize(size);
		}
		return bytes_.data() + used_;
	}
	// `frame.data` came from room().
	void add(const packet::Frame &frame)
	{
		used_ += frame.captured;
		frames.push_back(frame);
	}

	std::vector<packet::Frame> frames;
	std::shared_ptr<const CaptureInterfaces> interfaces; // as known when the batch was filled
	size_t max_frames;

private:
	std::vector<uint8_t> bytes_;
	size_t used_ = 0;
};

} // namespace reframer::traffic
