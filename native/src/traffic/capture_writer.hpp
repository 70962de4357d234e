// Writes captures: pcap with nanoseconds, and pcapng where pcap cannot hold the frames.
#pragma once

#include "packet/frame.hpp"
#include "traffic/capture_error.hpp"
#include "traffic/frame_batch.hpp"
#include "traffic/output_file.hpp"

#include <string>
#include <vector>

namespace reframer::traffic {

// pcap holds one link type, 262144 bytes a frame and times up to 2106. The first frame that does
// not fit turns the file into pcapng: what is written by then is copied over once.
class CaptureWriter {
public:
	// See OutputFile for what happens to the name, and for `inputs`.
	explicit CaptureWriter(const std::string &file, const std::vector<std::string> &inputs = {});

	// The frame's bytes and original length as they are; `time_ns` instead of the frame's own time.
	void write(const packet::Frame &frame, uint64_t time_ns, const CaptureInterface &interface)
	{
		constexpr size_t record_header = 16;
		const size_t size = record_header + frame.captured;
		if (interface.link_field != link_field_ || pcapng_ || frame.captured > max_pcap_frame ||
		    time_ns >= end_of_pcap_time || buffer_.size() - used_ < size) [[unlikely]]
			return write_slow(frame, time_ns, interface);
		put_record(frame, time_ns);
	}

	// Throws CaptureError when the last bytes cannot be written or the name cannot be taken.
	// A file without frames gets the link type `link_field_if_empty`.
	void finish(uint32_t link_field_if_empty = 1);

	const char *format() const { return pcapng_ ? "pcapng" : "pcap"; }
	uint64_t bytes() const { return output_.appended() + used_; }

	static constexpr uint32_t max_pcap_frame = 262144;
	static constexpr uint64_t end_of_pcap_time = (1ull << 32) * 1'000'000'000;

private:
	void put_record(const packet::Frame &frame, uint64_t time_ns);
	void write_slow(const packet::Frame &frame, uint64_t time_ns,
	                const CaptureInterface &interface);
	void put_pcap_header(uint32_t link_field);
	void put_section_header();
	uint32_t pcapng_interface(const CaptureInterface &interface);
	void put_packet_block(const packet::Frame &frame, uint64_t time_ns, uint32_t interface);
	void turn_into_pcapng();
	void reserve(size_t size);
	void put(const void *data, size_t size);
	template <typename... Words> void put_words(Words... words);
	void flush();

	OutputFile output_;
	std::vector<uint8_t> buffer_;
	size_t used_ = 0;
	uint32_t link_field_ = no_link;
	bool pcapng_ = false;
	std::vector<CaptureInterface> interfaces_; // of the pcapng file

	// No link type has all bits set.
	static constexpr uint32_t no_link = UINT32_MAX;
};

} // namespace reframer::traffic
