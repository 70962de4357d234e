// A capture as the input of a job: read ahead on a second thread, oddities as warnings in plain words.
#pragma once

#include "jobs/record.hpp"
#include "traffic/capture.hpp"
#include "traffic/read_ahead.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace reframer::lab {

class CaptureInput {
public:
	// With `keep_going` damage ends the input instead of failing the job. A file whose very start
	// cannot be read fails in either case. @throws CaptureError, as next() does
	CaptureInput(const std::string &file, bool keep_going, size_t max_batches = 12);

	// The next batch, or null at the end. To be given back.
	traffic::FrameBatch *next();
	void give_back(traffic::FrameBatch *batch) { ahead_->give_back(batch); }

	const traffic::CaptureReader &reader() const { return *reader_; }
	// Is somebody else reading meanwhile?
	bool reads_ahead() const { return ahead_ && ahead_->has_thread(); }
	// Ends the input before its end; nothing of it is read any more. Frames of batches are gone.
	void stop() { ahead_.reset(); }
	// What the frames' lengths of an interface include; 0 for an interface that is not known.
	static uint32_t fcs_bytes(const traffic::FrameBatch &batch, const packet::Frame &frame)
	{
		return (*batch.interfaces)[frame.interface].fcs_bytes;
	}
	// After the end or stop(): until then the reader may be at work. Names of link types, each once; warnings; the damage, when there was one.
	Json link_types() const;
	std::vector<std::string> warnings() const;
	Json damage() const;

private:
	std::unique_ptr<traffic::CaptureReader> reader_;
	std::unique_ptr<traffic::ReadAhead> ahead_;
	std::optional<traffic::CaptureError> damage_;
	bool keep_going_;
};

// Emits {"progress": ...} at most four times a second.
class Progress {
public:
	explicit Progress(std::string what, Json total = nullptr)
		: what_(std::move(what)), total_(std::move(total))
	{
	}
	void operator()(uint64_t done)
	{
		const auto now = std::chrono::steady_clock::now();
		if (now - last_ < std::chrono::milliseconds(250))
			return;
		last_ = now;
		emit({{"progress", {{"done", done}, {"total", total_}, {"what", what_}}}});
	}

private:
	std::string what_;
	Json total_;
	std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

} // namespace reframer::lab
