// Table memory: whole pages from the kernel, 2 MiB ones where it gives them, zeroed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reframer::conntrack {

constexpr size_t huge_page = size_t{2} << 20;

class Pages {
public:
	Pages() = default;
	Pages(const Pages &) = delete;
	Pages &operator=(const Pages &) = delete;
	Pages(Pages &&other) noexcept { swap(other); }
	Pages &operator=(Pages &&other) noexcept
	{
		swap(other);
		return *this;
	}
	~Pages() { release(); }

	// False where there is no memory.
	bool map(size_t bytes);
	// Writes to each page, so that the packet path does not meet its first fault.
	void touch();
	// Gives the memory of the first `bytes` back (whole huge pages only); it reads as zeros then.
	void give_back(size_t bytes);
	void release();

	uint8_t *data() const { return data_; }
	// Bytes held now.
	size_t bytes() const { return size_ - given_back_; }

private:
	void swap(Pages &other) noexcept;

	uint8_t *data_ = nullptr;
	size_t size_ = 0;
	size_t given_back_ = 0;
};

} // namespace reframer::conntrack
