// Zeroed memory on huge pages where the kernel gives them, touched before use: a page fault inside
// a timed poll would cost more than the packets of that poll.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <sys/mman.h>
#include <type_traits>

namespace reframer::nf {

template <typename T> class Region {
public:
	Region() = default;
	explicit Region(size_t count) : count_(count)
	{
		static_assert(std::is_trivially_destructible_v<T>);
		constexpr size_t huge = 2u << 20;
		bytes_ = (count * sizeof(T) + huge - 1) / huge * huge;
		// One huge page more, to start on a boundary: the kernel backs only aligned ranges.
		mapped_ = bytes_ + huge;
		void *p =
			mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			throw std::bad_alloc();
		map_ = p;
		size_t space = mapped_;
		p = std::align(huge, bytes_, p, space);
		madvise(p, bytes_, MADV_HUGEPAGE); // whether it helped: measure/memory_use.hpp
		for (size_t at = 0; at < bytes_; at += 4096)
			static_cast<volatile char *>(p)[at] = 0;
		data_ = static_cast<T *>(p);
	}
	Region(Region &&other) noexcept { swap(other); }
	Region &operator=(Region &&other) noexcept
	{
		swap(other);
		return *this;
	}
	~Region()
	{
		if (map_)
			munmap(map_, mapped_);
	}

	T *data() const { return data_; }
	T &operator[](size_t i) const { return data_[i]; }
	size_t size() const { return count_; }
	size_t bytes() const { return bytes_; }

private:
	void swap(Region &other) noexcept
	{
		std::swap(map_, other.map_);
		std::swap(data_, other.data_);
		std::swap(count_, other.count_);
		std::swap(bytes_, other.bytes_);
		std::swap(mapped_, other.mapped_);
	}

	void *map_ = nullptr;
	T *data_ = nullptr;
	size_t count_ = 0, bytes_ = 0, mapped_ = 0;
};

} // namespace reframer::nf
