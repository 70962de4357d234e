#include "base/pages.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include <utility>

namespace reframer::base {

namespace {

constexpr size_t page = 4096;

size_t round_up(size_t bytes, size_t grain)
{
	return (bytes + grain - 1) & ~(grain - 1);
}

// Addresses from a multiple of 2 MiB on: the kernel aligns to 4 KiB only, so take more and cut off
// both ends.
uint8_t *map_aligned(size_t size, int flags)
{
	void *raw = mmap(nullptr, size + huge_page, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	if (raw == MAP_FAILED)
		return nullptr;
	auto begin = reinterpret_cast<uintptr_t>(raw), aligned = round_up(begin, huge_page);
	if (aligned > begin)
		munmap(raw, aligned - begin);
	munmap(reinterpret_cast<void *>(aligned + size), begin + huge_page - aligned);
	return reinterpret_cast<uint8_t *>(aligned);
}

// Nobody is billed for these before they are touched.
uint8_t *reserve(size_t size)
{
	return map_aligned(size, MAP_NORESERVE);
}

void advise_huge(uint8_t *data, size_t from, size_t to)
{
	if (from < to)
		madvise(data + from, to - from, MADV_HUGEPAGE);
}

} // namespace

bool Pages::map(size_t bytes, size_t huge_from)
{
	release();
	if (bytes >= huge_from) {
		size_ = round_up(bytes, huge_page);
		data_ = map_aligned(size_, 0);
		if (data_)
			advise_huge(data_, 0, size_);
	} else {
		// Small maps come with their pages at once: met one by one while a table grows, their
		// faults were one insert in 500, at 3 us each.
		size_ = round_up(bytes, page);
		void *raw = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
		                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		data_ = raw == MAP_FAILED ? nullptr : static_cast<uint8_t *>(raw);
	}
	if (!data_)
		size_ = 0;
	return data_ != nullptr;
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

Reserve::~Reserve()
{
	if (data_)
		munmap(data_, room_);
}

void Reserve::advise()
{
	if (page_size_ == PageSize::small)
		madvise(data_, room_, MADV_NOHUGEPAGE); // where the kernel gives them unasked
	else
		advise_huge(data_, huge_first_ ? 0 : huge_page, room_);
}

bool Reserve::take(size_t bytes, size_t most, PageSize page_size)
{
	page_size_ = page_size;
	huge_first_ = bytes >= huge_page && page_size == PageSize::huge;
	for (size_t size = round_up(std::max(bytes, most), page);;
	     size = round_up(std::max(bytes, size / 2), page)) {
		if ((data_ = reserve(size))) {
			room_ = size;
			break;
		}
		if (size <= round_up(bytes, page))
			return false;
	}
	advise();
	// Small tables come with their pages at once: met one by one, their faults are 3 us each.
	if (!huge_first_)
		return populate(0, bytes);
	return true;
}

bool Reserve::extend(size_t used, size_t bytes)
{
	bytes = round_up(bytes, page);
	if (bytes <= room_)
		return true;
	uint8_t *to = reserve(bytes);
	if (!to)
		return false;
	used = round_up(used, page);
	if (used && mremap(data_, used, used, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED) {
		munmap(to, bytes);
		return false;
	}
	if (used < room_)
		munmap(data_ + used, room_ - used);
	data_ = to;
	room_ = bytes;
	advise();
	return true;
}

bool Reserve::populate(size_t from, size_t to) const
{
	from &= ~(page - 1);
	to = round_up(std::min(to, room_), page);
	if (from >= to)
		return true;
#ifdef MADV_POPULATE_WRITE
	if (madvise(data_ + from, to - from, MADV_POPULATE_WRITE) == 0)
		return true;
	// Kernels before 5.14 do not know it: then pages come when they are touched.
	return errno == EINVAL;
#else
	return true;
#endif
}

size_t Reserve::resident(size_t used) const
{
	used = round_up(used, page);
	if (page_size_ == PageSize::small)
		return used;
	return used <= huge_page && !huge_first_ ? used : std::min(round_up(used, huge_page), room_);
}

} // namespace reframer::base
