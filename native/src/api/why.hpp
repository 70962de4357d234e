// Why parameters are refused, as text: the member, what it is, what it may be.
#pragma once

#include <cerrno>
#include <cinttypes>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace reframer::api {

class Why {
public:
	Why() = default;
	// `text` may be null.
	Why(char *text, size_t room) : text_(room ? text : nullptr), room_(room)
	{
		if (text_)
			text_[0] = '\0';
	}

	// The checks return true for what is right, and keep the first thing that is wrong.
	bool within(const char *member, uint64_t value, uint64_t low, uint64_t high)
	{
		if (value >= low && value <= high)
			return true;
		return no("%s is %" PRIu64 ", must be %" PRIu64 " to %" PRIu64, member, value, low, high);
	}
	bool real(const char *member, double value, double low, double high)
	{
		if (value >= low && value <= high)
			return true;
		return no("%s is %g, must be %g to %g", member, value, low, high);
	}
	bool power_of_two(const char *member, uint64_t value, uint64_t low, uint64_t high)
	{
		if (value >= low && value <= high && (value & (value - 1)) == 0)
			return true;
		return no("%s is %" PRIu64 ", must be a power of two, %" PRIu64 " to %" PRIu64, member,
		          value, low, high);
	}
	bool bits(const char *member, uint64_t value, uint64_t known)
	{
		if ((value & ~known) == 0)
			return true;
		return no("%s is 0x%" PRIx64 ", which has unknown bits: 0x%" PRIx64 " are known", member,
		          value, known);
	}
	bool given(const char *member, const void *pointer)
	{
		return pointer != nullptr || no("%s is NULL", member);
	}
	bool size(size_t size, size_t ours)
	{
		// Whole in the 128 bytes that the headers promise to be enough, with any numbers.
		return no("size is %zu, not %zu: call its default_params() first, "
		          "set no member that this library lacks",
		          size, ours);
	}
	[[gnu::format(printf, 2, 3)]] bool no(const char *format, ...)
	{
		if (text_ && !text_[0]) {
			va_list values;
			va_start(values, format);
			std::vsnprintf(text_, room_, format, values);
			va_end(values);
		}
		return false;
	}

private:
	char *text_ = nullptr;
	size_t room_ = 0;
};

inline int result(bool right)
{
	return right ? 0 : -EINVAL;
}

} // namespace reframer::api
