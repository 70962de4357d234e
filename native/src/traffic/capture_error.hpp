// What is wrong with a capture, and where. One damaged place gives one error.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace reframer::traffic {

class CaptureError : public std::runtime_error {
public:
	// Stable codes: "capture-open", "capture-format" (not a capture that we know),
	// "capture-unsupported" (sound, but not handled), "capture-damaged", "capture-read",
	// "capture-write". `message` says what is wrong and what to do next; -1 is "no offset".
	CaptureError(std::string code_, std::string file_, int64_t offset_, const std::string &message)
		: std::runtime_error(message), code(std::move(code_)), file(std::move(file_)),
		  offset(offset_)
	{
	}
	std::string code;
	std::string file;
	int64_t offset; // bytes from the start of the file; of its contents when it is compressed
};

// Somebody no longer waits for the bytes of a stream.
class Cancelled : public std::exception {
public:
	const char *what() const noexcept override { return "cancelled"; }
};

} // namespace reframer::traffic
