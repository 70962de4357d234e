// Reads captures: pcap, pcapng and ERF, plain or compressed, as a stream.
#pragma once

#include "traffic/byte_stream.hpp"
#include "traffic/capture_error.hpp"
#include "traffic/frame_batch.hpp"
#include "traffic/source.hpp"

#include <memory>
#include <optional>
#include <string>

namespace reframer::traffic {

// Things that are odd but not wrong; the caller says them.
struct CaptureNotes {
	uint64_t fraction_out_of_range =
		0;                        // fraction of a second that is a second or more: carried over
	uint64_t without_time = 0;    // records without a time stamp: they get the one before
	uint64_t over_snaplen = 0;    // longer than the file or the interface says
	uint64_t skipped_records = 0; // ERF: records that hold no frame
};

class CaptureReader : public Source {
public:
	// Up to `room` frames, but no more than fit the buffer; see Source.
	size_t read(packet::Frame *out, size_t room) override;

	// Replaces what is in the batch; false at the end. Frames before a damaged place are given out
	// first, then the damage is thrown, once and again at every later call.
	bool fill(FrameBatch &batch) { return fill(batch, false); }
	// The same, but does not wait for more from a pipe while there are frames to give out.
	bool fill_ready(FrameBatch &batch) { return fill(batch, true); }

	const std::string &file() const { return file_; }
	const char *format() const { return format_; } // "pcap", "pcapng", "erf"
	const char *compression() const { return input_.compression(); }
	const CaptureInterfaces &interfaces() const { return interfaces_; }
	const CaptureNotes &notes() const { return notes_; }

protected:
	CaptureReader(InputBuffer input, std::string file, const char *format)
		: input_(std::move(input)), file_(std::move(file)), format_(format)
	{
	}

	enum class Step { frame, full, end };
	// Adds one frame to the batch, or leaves the input where it is when the batch is full.
	virtual Step next(FrameBatch &batch) = 0;

	[[noreturn]] void damaged(uint64_t offset, const std::string &what) const;
	[[noreturn]] void unsupported(uint64_t offset, const std::string &what) const;
	// Throws "capture-unsupported" when nobody assigned the link type.
	void add_interface(uint32_t link_field, uint32_t snaplen, uint64_t offset);
	// The link type for our parser, and the index into interfaces() as far as 16 bits reach.
	packet::LinkType link_of(size_t interface) const { return links_[interface]; }

	InputBuffer input_;
	CaptureNotes notes_;

private:
	bool fill(FrameBatch &batch, bool ready);

	std::string file_;
	const char *format_;
	CaptureInterfaces interfaces_;
	std::vector<packet::LinkType> links_;
	std::shared_ptr<const CaptureInterfaces> published_;
	std::optional<CaptureError> failure_;
	bool at_end_ = false;
	std::unique_ptr<FrameBatch> own_;
};

// Both throw CaptureError. `file` "-" is standard input.
std::unique_ptr<CaptureReader> open_capture(const std::string &file);
std::unique_ptr<CaptureReader> open_capture(std::unique_ptr<ByteStream> stream,
                                            const std::string &name);

// What our parser calls the link type of a file; the bits above the number are left out.
packet::LinkType parser_link(uint32_t link_field);
// Is it a link type whose packets our parser reads?
bool link_type_parsed(packet::LinkType link);
// "EN10MB", "LINUX_SLL", ...; the number when it has no name.
std::string link_type_name(uint32_t link_field);

// One a format; they expect the input at the start of the file.
std::unique_ptr<CaptureReader> open_pcap(InputBuffer input, const std::string &file);
std::unique_ptr<CaptureReader> open_pcapng(InputBuffer input, const std::string &file);
std::unique_ptr<CaptureReader> open_erf(InputBuffer input, const std::string &file);
bool looks_like_erf(const uint8_t *data, size_t size);

// Longest record that is believed. libpcap's own limit for pcap is 262144; pcapng and BIG TCP go
// beyond that, a corrupt length goes far beyond.
inline constexpr uint32_t max_record_bytes = 16u << 20;

} // namespace reframer::traffic
