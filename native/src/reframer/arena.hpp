// One allocation for everything an instance keeps: one or two huge pages, so that the arrays cost
// one or two entries of the TLB, touched at create so that no packet pays for a page fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace reframer::stage {

class Arena {
public:
	Arena() = default;
	~Arena();
	Arena(const Arena &) = delete;
	Arena &operator=(const Arena &) = delete;

	// First lay out, then allocate, then ask where things are.
	template <typename T> size_t reserve(size_t count)
	{
		const size_t offset = size_;
		size_ += (count * sizeof(T) + 63) / 64 * 64;
		return offset;
	}
	bool allocate();
	template <typename T> T *at(size_t offset) { return reinterpret_cast<T *>(base_ + offset); }

private:
	std::byte *base_ = nullptr;
	size_t size_ = 0;
};

} // namespace reframer::stage
