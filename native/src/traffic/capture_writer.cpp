#include "traffic/capture_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace reframer::traffic {
namespace {

// 1 MiB a system call; more does not make writing to the page cache faster.
constexpr size_t buffer_bytes = 1 << 20;
constexpr uint64_t billion = 1'000'000'000;

constexpr uint8_t nanoseconds = 9; // if_tsresol: 10^-9 s

} // namespace

CaptureWriter::CaptureWriter(const std::string &file, const std::vector<std::string> &inputs)
	: output_(file, inputs), buffer_(buffer_bytes)
{
}

void CaptureWriter::flush()
{
	output_.append(buffer_, used_);
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
	const bool fits_pcap = frame.captured <= max_pcap_frame && time_ns < end_of_pcap_time;
	if (link_field_ == no_link && !pcapng_) {
		if (fits_pcap)
			put_pcap_header(interface.link_field);
		else
			put_section_header();
	}
	if (!pcapng_ && (interface.link_field != link_field_ || !fits_pcap))
		turn_into_pcapng();
	if (pcapng_) {
		put_packet_block(frame, time_ns, pcapng_interface(interface));
		return;
	}
	reserve(16 + frame.captured);
	put_record(frame, time_ns);
}

void CaptureWriter::put_section_header()
{
	reserve(28);
	put_words(0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28);
	pcapng_ = true;
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

// What is there is our own pcap: a header and whole records.
void CaptureWriter::turn_into_pcapng()
{
	if (!output_.can_restart())
		throw CaptureError("capture-write", output_.name(), static_cast<int64_t>(bytes()),
		                   output_.name() +
		                       " cannot stay pcap (second link type, long frame or late time) and "
		                       "what is not a regular file cannot be begun anew as pcapng; name a "
		                       "regular file");
	flush();
	output_.restart();
	put_section_header();
	const CaptureInterface old_interface{link_field_, 0, fcs_bytes_of(link_field_)};
	std::vector<uint8_t> data(max_pcap_frame);
	uint32_t words[4];
	uint64_t at = 24;
	while (output_.read_first(at, reinterpret_cast<uint8_t *>(words), 16) == 16) {
		const auto [seconds, fraction, captured, wire] = words;
		if (output_.read_first(at + 16, data.data(), captured) != captured)
			output_.fail("cannot read back", EIO, at);
		put_packet_block({data.data(), captured, wire, 0, packet::LinkType{}, 0},
		                 seconds * billion + fraction, pcapng_interface(old_interface));
		at += 16 + captured;
	}
	output_.forget_first();
}

void CaptureWriter::finish(uint32_t link_field_if_empty)
{
	if (link_field_ == no_link && !pcapng_)
		put_pcap_header(link_field_if_empty);
	flush();
	output_.finish();
}

} // namespace reframer::traffic
