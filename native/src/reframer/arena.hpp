// One allocation for everything an instance keeps: one or two huge pages, so that the arrays cost
// one or two entries of the TLB, touched at create so that no packet pays for a page fault.
#pragma once

#include "base/pages.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace reframer::stage {

class Arena {
public:
	// First lay out, then allocate, then ask where things are.
	template <typename T> size_t reserve(size_t count)
	{
		const size_t offset = size_;
		size_ += (count * sizeof(T) + 63) / 64 * 64;
		return offset;
	}
	bool allocate();
	template <typename T> T *at(size_t offset)
	{
		return reinterpret_cast<T *>(pages_.data() + offset);
	}

private:
	base::Pages pages_;
	size_t size_ = 0;
};

} // namespace reframer::stage
