// Classic pcap, read by libpcap out of our own window on the (decompressed) file. A record is looked
// at in the window first, where the checks are made that libpcap leaves out; then libpcap is handed
// that record and no more. So the offset of every record is known. Records as this machine writes
// them are taken from the window at once: libpcap would add nothing to them but two copies.
#include "traffic/capture.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <pcap/pcap.h>
#include <stdio_ext.h>

namespace reframer::traffic {
namespace {

// libpcap's MAXIMUM_SNAPLEN, not in its public headers: it takes no longer record of most link types.
constexpr uint32_t max_pcap_record = 262144;

constexpr uint32_t least_snaplen = 4; // header of the BSD loopback; less is no limit anybody meant
constexpr size_t file_header = 24;
constexpr size_t stream_buffer = 1 << 16; // most records in one copy, and in the first-level cache

// What libpcap may read: the stream's buffer takes as much as it is given, so what is given decides.
struct Cookie {
	InputBuffer *input;
	size_t allowed;
};

ssize_t read_window(void *cookie_, char *to, size_t size)
{
	auto *cookie = static_cast<Cookie *>(cookie_);
	const size_t count = std::min({size, cookie->allowed, cookie->input->available()});
	std::memcpy(to, cookie->input->data(), count);
	cookie->input->take(count);
	cookie->allowed -= count;
	return static_cast<ssize_t>(count);
}

class PcapReader final : public CaptureReader {
public:
	PcapReader(InputBuffer input, const std::string &file)
		: CaptureReader(std::move(input), file, "pcap")
	{
		check_header();
		cookie_ = {&input_, file_header};
		FILE *stream = fopencookie(&cookie_, "r", {read_window, nullptr, nullptr, nullptr});
		if (!stream)
			throw std::bad_alloc();
		// Buffered, because without a buffer glibc reads a cookie byte by byte (1.4 us a packet).
		// No lock: one thread reads.
		setvbuf(stream, nullptr, _IOFBF, stream_buffer);
		__fsetlocking(stream, FSETLOCKING_BYCALLER);
		char error[PCAP_ERRBUF_SIZE] = "";
		pcap_ = pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, error);
		if (!pcap_) {
			fclose(stream);
			damaged(0, std::string("libpcap refuses the file header: ") + error);
		}
	}
	~PcapReader() override
	{
		if (pcap_)
			pcap_close(pcap_);
	}
	PcapReader(const PcapReader &) = delete;
	PcapReader &operator=(const PcapReader &) = delete;

private:
	uint32_t word(size_t at) const
	{
		uint32_t value;
		std::memcpy(&value, input_.data() + at, 4);
		return swapped_ ? __builtin_bswap32(value) : value;
	}

	void check_header()
	{
		const size_t size = input_.need(file_header);
		if (size < file_header)
			damaged(size,
			        "the file header is cut after " + std::to_string(size) + " of its 24 bytes");
		const uint32_t magic = word(0);
		swapped_ = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1 || magic == 0x34cdb2a1;
		record_header_ = word(0) == 0xa1b2cd34 ? 24 : 16;
		const uint32_t version = word(4);
		const uint16_t first = static_cast<uint16_t>(version), second = version >> 16;
		major_ = swapped_ ? second : first;
		minor_ = swapped_ ? first : second;
		// 2.4 is the only version written since 1998; 543.0 is what DG/UX wrote.
		if (!(major_ == 2 && minor_ <= 4) && !(major_ == 543 && minor_ == 0))
			unsupported(4, "pcap version " + std::to_string(major_) + "." + std::to_string(minor_) +
			                   " does not exist; versions up to 2.4 are "
			                   "read. If only this field is damaged, repair it (editcap)");
		direct_ = !swapped_ && record_header_ == 16 && major_ == 2 && minor_ == 4;
		fraction_ns_ = magic == 0xa1b23c4d ? 1 : 1000;
		snaplen_ = word(16);
		// Some tools write 1 where others write 0, and some let records grow past it afterwards.
		// libpcap would cut those, so it is shown a 0.
		std::memset(input_.data() + 16, 0, 4);
		if (snaplen_ < least_snaplen)
			snaplen_ = 0;
		add_interface(word(20), snaplen_, 20);
		// Of other links libpcap changes what lies in front of the packet.
		direct_ = direct_ && link_type_parsed(link_of(0));
	}

	// What libpcap lets through although the file is damaged.
	uint32_t check_record()
	{
		const uint64_t at = input_.offset();
		const size_t have = input_.need(record_header_);
		if (have < record_header_)
			damaged(at, "the file ends inside a record header, " + std::to_string(have) + " of " +
			                std::to_string(record_header_) + " bytes are there");
		const uint32_t captured = captured_length();
		const uint32_t wire = word(12);
		// A record of nothing at time 0 is a run of zeros: space that was set aside and never written.
		if (captured == 0 && wire == 0 && word(0) == 0 && word(4) == 0)
			damaged(at, "zeros where a record should be, as after a crash or a full disk");
		if (captured > max_pcap_record)
			damaged(at, "a record claims " + std::to_string(captured) +
			                " bytes, more than pcap allows (262144)");
		const size_t whole = record_header_ + captured;
		const size_t there = input_.need(whole);
		if (there < whole)
			damaged(at, "the file ends inside a record of " + std::to_string(captured) +
			                " bytes, " + std::to_string(there - record_header_) + " are there");
		return captured;
	}

	// Writers before version 2.4 exchanged the two lengths; libpcap puts them right.
	uint32_t captured_length() const
	{
		const uint32_t first = word(8), second = word(12);
		if (major_ != 2 || minor_ >= 4)
			return first;
		return minor_ < 3 ? second : std::min(first, second);
	}

	Step next(FrameBatch &batch) override
	{
		if (input_.need(1) == 0)
			return Step::end;
		const uint64_t at = input_.offset();
		const uint32_t captured = check_record();
		uint8_t *room = batch.room(captured);
		if (!room)
			return Step::full;
		notes_.over_snaplen += snaplen_ != 0 && captured > snaplen_;
		if (direct_) {
			std::memcpy(room, input_.data() + record_header_, batch.kept(captured));
			batch.add({room, captured, word(12), time_of(word(0), int32_t(word(4)) * fraction_ns_),
			           link_of(0), 0});
			input_.take(record_header_ + captured);
			return Step::frame;
		}
		cookie_.allowed = record_header_ + captured;
		pcap_pkthdr *header;
		const uint8_t *data;
		if (pcap_next_ex(pcap_, &header, &data) != 1)
			damaged(at, std::string("libpcap refuses a record: ") + pcap_geterr(pcap_));
		std::memcpy(room, data, header->caplen);
		// The file has 32 bits without sign; libpcap reads them signed, which ends in 2038. Of the
		// second it gives nanoseconds, as asked for at open.
		const uint64_t time = time_of(static_cast<uint32_t>(header->ts.tv_sec), header->ts.tv_usec);
		batch.add({room, header->caplen, header->len, time, link_of(0), 0});
		return Step::frame;
	}

	uint64_t time_of(uint64_t seconds, int64_t fraction)
	{
		if (fraction < 0 || fraction >= 1'000'000'000) [[unlikely]] {
			notes_.fraction_out_of_range++;
			if (fraction < 0)
				return seconds * 1'000'000'000;
		}
		return seconds * 1'000'000'000 + static_cast<uint64_t>(fraction);
	}

	Cookie cookie_{};
	pcap_t *pcap_ = nullptr;
	bool swapped_ = false;
	uint32_t record_header_ = 16;
	bool direct_ = false;
	int64_t fraction_ns_ = 1;
	uint16_t major_ = 2, minor_ = 4;
	uint32_t snaplen_ = 0;
};

} // namespace

std::unique_ptr<CaptureReader> open_pcap(InputBuffer input, const std::string &file)
{
	return std::make_unique<PcapReader>(std::move(input), file);
}

} // namespace reframer::traffic
