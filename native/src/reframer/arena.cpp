#include "reframer/arena.hpp"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace reframer::stage {

namespace {
constexpr size_t huge_page = 2u << 20;
constexpr size_t small_page = 4096;
// Below this a huge page would be mostly empty, and the TLB has entries enough.
constexpr size_t huge_from = huge_page / 8;
} // namespace

bool Arena::allocate()
{
	const size_t page = size_ >= huge_from ? huge_page : small_page;
	size_ = (size_ + page - 1) / page * page;
	base_ = static_cast<std::byte *>(std::aligned_alloc(page, size_));
	if (!base_)
		return false;
	// Advice: without huge pages everything works, a little slower.
	if (page == huge_page)
		(void)madvise(base_, size_, MADV_HUGEPAGE);
	std::memset(base_, 0, size_);
	return true;
}

Arena::~Arena()
{
	std::free(base_);
}

} // namespace reframer::stage
