// An array of zeros on huge pages where the kernel gives them, touched before use: a page fault
// inside a timed poll would cost more than the packets of that poll.
#pragma once

#include "base/pages.hpp"

#include <cstddef>
#include <new>
#include <type_traits>

namespace reframer::base {

template <typename T> class Region {
public:
	Region() = default;
	explicit Region(size_t count) : count_(count)
	{
		static_assert(std::is_trivially_destructible_v<T>);
		if (!pages_.map(count * sizeof(T), 0))
			throw std::bad_alloc();
		pages_.touch(); // whether huge pages came: measure/memory_use.hpp
	}

	T *data() const { return reinterpret_cast<T *>(pages_.data()); }
	T &operator[](size_t i) const { return data()[i]; }
	size_t size() const { return count_; }
	size_t bytes() const { return pages_.bytes(); }

private:
	Pages pages_;
	size_t count_ = 0;
};

} // namespace reframer::base
