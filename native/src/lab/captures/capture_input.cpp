#include "lab/captures/capture_input.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace reframer::lab {

namespace {

// Files with no more bytes than this are read where they are looked at: a thread for each of thousands
// takes longer than to read them. Compressed they hold several times as many, and those cost more.
constexpr uintmax_t small_file = 1 << 18, small_compressed = 1 << 14;

std::unique_ptr<traffic::ReadAhead> read_ahead(traffic::CaptureReader &reader,
                                               const std::string &file, size_t max_batches)
{
	std::error_code error;
	const bool regular = std::filesystem::is_regular_file(file, error);
	const uintmax_t size = regular ? std::filesystem::file_size(file, error) : 0;
	const bool packed = reader.compression() != std::string_view("none");
	if (regular && !error && size <= (packed ? small_compressed : small_file))
		return std::make_unique<traffic::ReadAhead>(
			reader, traffic::ReadAhead::Here{packed ? small_file : std::max<size_t>(size, 4096)});
	return std::make_unique<traffic::ReadAhead>(reader, max_batches);
}

} // namespace

CaptureInput::CaptureInput(const std::string &file, bool keep_going, size_t max_batches)
	: reader_(traffic::open_capture(file)), ahead_(read_ahead(*reader_, file, max_batches)),
	  keep_going_(keep_going)
{
}

traffic::FrameBatch *CaptureInput::next()
{
	if (damage_ || !ahead_)
		return nullptr;
	try {
		return ahead_->next();
	} catch (const traffic::CaptureError &e) {
		if (!keep_going_)
			throw;
		damage_ = e;
		return nullptr;
	}
}

Json CaptureInput::link_types() const
{
	Json names = Json::array();
	for (const auto &interface : reader_->interfaces()) {
		const std::string name = traffic::link_type_name(interface.link_field);
		if (std::find(names.begin(), names.end(), name) == names.end())
			names.push_back(name);
	}
	return names;
}

std::vector<std::string> CaptureInput::warnings() const
{
	std::vector<std::string> said;
	if (damage_)
		said.push_back(std::string(damage_->what()) + " (only what comes before it was used)");
	const auto &notes = reader_->notes();
	const auto say = [&](uint64_t count, const char *what) {
		if (count)
			said.push_back(std::to_string(count) + " " + what);
	};
	say(notes.fraction_out_of_range,
	    "time stamps have a fraction of a second or more; it was carried over");
	say(notes.without_time, "records have no time stamp; they got that of the record before");
	say(notes.over_snaplen,
	    "records are longer than the snapshot length that the file states; they were read whole");
	say(notes.skipped_records, "ERF records hold no frame and were skipped");
	std::vector<std::string> unread;
	for (const auto &interface : reader_->interfaces()) {
		const std::string name = traffic::link_type_name(interface.link_field);
		const auto link = static_cast<packet::LinkType>(interface.link_field & 0xffff);
		// 12 and 14 are read as raw IP (see the reader)
		if (traffic::link_type_parsed(link) || link == packet::LinkType{12} ||
		    link == packet::LinkType{14} ||
		    std::find(unread.begin(), unread.end(), name) != unread.end())
			continue;
		unread.push_back(name);
		said.push_back("packets of link type " + name +
		               " are not looked into: all of them count as one flow");
	}
	return said;
}

Json CaptureInput::damage() const
{
	if (!damage_)
		return nullptr;
	return {{"code", damage_->code}, {"message", damage_->what()}, {"offset", damage_->offset}};
}

} // namespace reframer::lab
