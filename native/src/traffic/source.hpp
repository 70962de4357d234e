// Where frames come from: a capture or the generator. One virtual call a burst.
#pragma once

#include "packet/frame.hpp"

#include <cstddef>

namespace reframer::traffic {

class Source {
public:
	virtual ~Source() = default;
	// Fills up to `room` frames; their bytes stay readable until the next call. 0 is the end.
	// Throws CaptureError (capture.hpp) where a capture is damaged.
	virtual size_t read(packet::Frame *out, size_t room) = 0;
};

} // namespace reframer::traffic
