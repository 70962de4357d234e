// The bytes of an input as a row of choices; past the end all are 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace reframer::fuzz {

class Bytes {
public:
	Bytes(const uint8_t *data, size_t size) : at_(data), end_(data + size) {}

	bool empty() const { return at_ == end_; }
	size_t left() const { return size_t(end_ - at_); }
	uint32_t byte() { return empty() ? 0 : *at_++; }
	uint32_t word() { return byte() | byte() << 8; }
	uint32_t below(uint32_t n) { return (n > 256 ? word() : byte()) % n; }
	// Any bit pattern, so also what is no number.
	float real()
	{
		const uint32_t bits = word() | word() << 16;
		float value;
		std::memcpy(&value, &bits, sizeof(value));
		return value;
	}

private:
	const uint8_t *at_, *end_;
};

inline void expect(bool right, const char *target, const char *what)
{
	if (right)
		return;
	std::fprintf(stderr, "%s fuzz: %s\n", target, what);
	std::abort();
}

} // namespace reframer::fuzz
