#include "conntrack/memory.hpp"

#include <sys/mman.h>

#include <utility>

namespace reframer::conntrack {

bool Pages::map(size_t bytes)
{
	release();
	size_t grain = bytes >= huge_page ? huge_page : 4096;
	size_t size = (bytes + grain - 1) & ~(grain - 1);
	// The kernel aligns to 4 KiB only: take more, cut off both ends.
	size_t slack = grain == huge_page ? huge_page : 0;
	// Small maps come with their pages at once: met one by one while a table grows, their faults
	// were one insert in 500, at 3 us each.
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (slack ? 0 : MAP_POPULATE);
	void *raw = mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (raw == MAP_FAILED)
		return false;
	auto begin = reinterpret_cast<uintptr_t>(raw);
	uintptr_t aligned = (begin + grain - 1) & ~(grain - 1);
	if (aligned > begin)
		munmap(raw, aligned - begin);
	if (begin + slack > aligned)
		munmap(reinterpret_cast<void *>(aligned + size), begin + slack - aligned);
	data_ = reinterpret_cast<uint8_t *>(aligned);
	size_ = size;
	if (grain == huge_page)
		madvise(data_, size_, MADV_HUGEPAGE);
	return true;
}

void Pages::touch()
{
	for (size_t at = given_back_; at < size_; at += 4096)
		*static_cast<volatile uint8_t *>(data_ + at) = data_[at];
}

void Pages::give_back(size_t bytes)
{
	size_t end = bytes & ~(huge_page - 1);
	if (end > size_)
		end = size_ & ~(huge_page - 1);
	if (end <= given_back_)
		return;
	if (madvise(data_ + given_back_, end - given_back_, MADV_DONTNEED) == 0)
		given_back_ = end;
}

void Pages::release()
{
	if (data_)
		munmap(data_, size_);
	data_ = nullptr;
	size_ = given_back_ = 0;
}

void Pages::swap(Pages &other) noexcept
{
	std::swap(data_, other.data_);
	std::swap(size_, other.size_);
	std::swap(given_back_, other.given_back_);
}

} // namespace reframer::conntrack
