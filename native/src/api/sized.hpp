// Structs that cross the C interface between a program and a library of different versions. A struct
// only grows at its end, and the program says with how many bytes it was compiled: nothing is read or
// written beyond that, and members that it does not know have their defaults.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <type_traits>

// What the headers call undefined and the release build does not look at: -Dbuildtype=debug.
#ifdef REFRAMER_DEBUG_CHECKS
#define REFRAMER_DEBUG_CHECK(condition) assert(condition)
#else
#define REFRAMER_DEBUG_CHECK(condition) static_cast<void>(0)
#endif

namespace reframer::api {

// Far above any struct here: a larger size was never stamped, and reading that far could crash.
inline constexpr size_t most_bytes = 65536;
// Far above any burst: a larger count is an error of arithmetic, such as a negative one.
inline constexpr size_t most_packets = size_t{1} << 24;

// For what is given out.
template <typename T> void write_sized(T *out, size_t size, const T &full)
{
	static_assert(std::is_trivially_copyable_v<T>);
	std::memcpy(static_cast<void *>(out), &full, std::min(size, sizeof(T)));
	if (size > sizeof(T))
		std::memset(reinterpret_cast<char *>(out) + sizeof(T), 0, size - sizeof(T));
}

// For what comes in: over the defaults in `full`. False: `size` cannot be, or the program sets a
// member that this library does not know.
template <typename T> bool read_sized(const T *given, size_t size, T &full)
{
	static_assert(std::is_trivially_copyable_v<T>);
	if (size < sizeof(size_t) || size > most_bytes)
		return false;
	const char *bytes = reinterpret_cast<const char *>(given);
	if (size > sizeof(T) &&
	    std::any_of(bytes + sizeof(T), bytes + size, [](char byte) { return byte != 0; }))
		return false;
	std::memcpy(static_cast<void *>(&full), given, std::min(size, sizeof(T)));
	return true;
}

// The same where the struct's first member is its size.
template <typename T> bool read_params(const T &given, T &full)
{
	static_assert(offsetof(T, size) == 0);
	if (!read_sized(&given, given.size, full))
		return false;
	full.size = sizeof(T);
	return true;
}

} // namespace reframer::api
