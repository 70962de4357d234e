#include "traffic/capture.hpp"

#include <cstring>
#include <pcap/pcap.h>

namespace reframer::traffic {
namespace {

// LINKTYPE_ numbers are fixed in files; DLT_ numbers are libpcap's, and differ for these
// (tcpdump.org/linktypes.html, where the two columns differ).
int dlt_of(uint16_t link)
{
	switch (link) {
	case 100:
		return DLT_ATM_RFC1483;
	case 101:
		return DLT_RAW;
	case 102:
		return DLT_SLIP_BSDOS;
	case 103:
		return DLT_PPP_BSDOS;
	case 106:
		return DLT_ATM_CLIP;
	default:
		return link;
	}
}

} // namespace

// Old writers put their system's DLT_RAW (12, on OpenBSD 14) where LINKTYPE_RAW belongs.
packet::LinkType parser_link(uint32_t link_field)
{
	const uint16_t link = static_cast<uint16_t>(link_field);
	if (link == 12 || link == 14)
		return packet::LinkType::raw_ip;
	return static_cast<packet::LinkType>(link);
}

bool link_type_parsed(packet::LinkType link)
{
	using packet::LinkType;
	switch (link) {
	case LinkType::null_loopback:
	case LinkType::ethernet:
	case LinkType::ppp:
	case LinkType::fddi:
	case LinkType::ppp_hdlc:
	case LinkType::pppoe:
	case LinkType::raw_ip:
	case LinkType::chdlc:
	case LinkType::loop:
	case LinkType::linux_sll:
	case LinkType::ipv4:
	case LinkType::ipv6:
	case LinkType::linux_sll2:
		return true;
	}
	return false;
}

std::string link_type_name(uint32_t link_field)
{
	const uint16_t link = static_cast<uint16_t>(link_field);
	const char *name = pcap_datalink_val_to_name(dlt_of(link));
	return name ? name : std::to_string(link);
}

void CaptureReader::damaged(uint64_t offset, const std::string &what) const
{
	const bool inside = std::strcmp(compression(), "none") != 0;
	throw CaptureError("capture-damaged", file_, static_cast<int64_t>(offset),
	                   file_ + ": damaged at byte " + std::to_string(offset) +
	                       (inside ? " of the decompressed data: " : ": ") + what +
	                       "; fetch or cut the file again");
}

void CaptureReader::unsupported(uint64_t offset, const std::string &what) const
{
	throw CaptureError("capture-unsupported", file_, static_cast<int64_t>(offset),
	                   file_ + ": not supported, at byte " + std::to_string(offset) + ": " + what);
}

void CaptureReader::add_interface(uint32_t link_field, uint32_t snaplen, uint64_t offset)
{
	const uint16_t link = static_cast<uint16_t>(link_field);
	// libpcap reads any number; one that nobody assigned is damage in practice, and nothing sound
	// can be said of the packets.
	if (!pcap_datalink_val_to_name(dlt_of(link)) && !link_type_parsed(parser_link(link)))
		unsupported(offset, "link type " + std::to_string(link) +
		                        " is not assigned to anything; if the file is sound, write it "
		                        "again with its real link type (editcap -T)");
	// Frames carry the index in 16 bits.
	if (interfaces_.size() > UINT16_MAX)
		unsupported(offset, "more than 65536 interfaces; split the file");
	interfaces_.push_back({link_field, snaplen, fcs_bytes_of(link_field)});
	links_.push_back(parser_link(link));
	published_.reset();
}

bool CaptureReader::fill(FrameBatch &batch, bool ready)
{
	batch.clear();
	if (failure_)
		throw CaptureError(*failure_);
	if (at_end_)
		return false;
	try {
		Step step;
		do
			step = next(batch);
		while (step == Step::frame && !(ready && input_.available() == 0 && input_.would_wait()));
		at_end_ = step == Step::end;
	} catch (const CaptureError &e) {
		failure_ = e;
		if (batch.frames.empty())
			throw;
	}
	if (!published_)
		published_ = std::make_shared<const CaptureInterfaces>(interfaces_);
	batch.interfaces = published_;
	return !batch.frames.empty();
}

size_t CaptureReader::read(packet::Frame *out, size_t room)
{
	if (!own_)
		own_ = std::make_unique<FrameBatch>();
	own_->max_frames = room;
	if (!fill(*own_))
		return 0;
	std::copy(own_->frames.begin(), own_->frames.end(), out);
	return own_->frames.size();
}

std::unique_ptr<CaptureReader> open_capture(const std::string &file)
{
	return open_capture(open_file_stream(file), file);
}

std::unique_ptr<CaptureReader> open_capture(std::unique_ptr<ByteStream> stream,
                                            const std::string &name)
{
	InputBuffer input(decompress(std::move(stream), name));
	// No more than the magic number yet: a pipe may bring the first packet much later.
	size_t size = input.need(4);
	if (size == 0)
		throw CaptureError("capture-format", name, 0,
		                   name + ": the file is empty; a capture has at least a file header");
	if (size >= 4) {
		uint32_t magic;
		std::memcpy(&magic, input.data(), 4);
		switch (magic) {
		case 0x0a0d0d0a:
			return open_pcapng(std::move(input), name);
		case 0xa1b2c3d4: // microseconds
		case 0xd4c3b2a1:
		case 0xa1b23c4d: // nanoseconds
		case 0x4d3cb2a1:
		case 0xa1b2cd34: // Linux with patched libpcap (Kuznetzov)
		case 0x34cdb2a1:
			return open_pcap(std::move(input), name);
		}
	}
	// A record of any size that ERF can state, and the header of the next.
	size = input.need(2 * (UINT16_MAX + 1));
	if (looks_like_erf(input.data(), size))
		return open_erf(std::move(input), name);
	const std::string shown = size < 4 ? "it has only " + std::to_string(size) + " bytes"
	                                   : std::string("its first bytes are none that we know");
	throw CaptureError("capture-format", name, 0,
	                   name + ": not a capture at byte 0: " + shown +
	                       "; pcap, pcapng and ERF are read, plain or as gzip, xz or zstd");
}

} // namespace reframer::traffic
