// Exceptions of the captures as what the C interface tells.
#pragma once

#include "reframer/capture.h"
#include "traffic/capture_error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace reframer::capture {

template <size_t size> void put_text(char (&to)[size], const std::string &from)
{
	const size_t count = std::min(from.size(), size - 1);
	std::memcpy(to, from.data(), count);
	to[count] = '\0';
}

inline int told(reframer_capture_failure *out, const char *code, const std::string &message,
                int64_t offset)
{
	if (out) {
		put_text(out->code, code);
		put_text(out->message, message);
		out->offset = offset;
	}
	return -EIO;
}

// Runs what may throw; `out` may be null.
template <typename Work> int guarded(reframer_capture_failure *out, Work work)
{
	try {
		return work();
	} catch (const traffic::Cancelled &) {
		return -ECANCELED;
	} catch (const traffic::CaptureError &e) {
		return told(out, e.code.c_str(), e.what(), e.offset);
	} catch (const std::bad_alloc &) {
		return told(out, "capture-read", "there is not enough memory", -1);
	} catch (const std::exception &e) {
		return told(out, "capture-read", e.what(), -1);
	}
}

} // namespace reframer::capture
