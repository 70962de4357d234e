// The one owner of large memory: whole pages from the kernel, 2 MiB ones where it gives them, zeroed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reframer::base {

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

	// Of huge pages from `huge_from` bytes on, for small ones are enough below. False where there is
	// no memory.
	bool map(size_t bytes, size_t huge_from = huge_page);
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

// What the kernel is to give for a touch: 2 MiB where it has them, or 4 KiB.
enum class PageSize { huge, small };

// Addresses for a table that grows where it is. The kernel gives memory as it is touched; what has
// been touched stays. Pages below the first 2 MiB are small ones, unless the table begins larger.
class Reserve {
public:
	Reserve() = default;
	Reserve(const Reserve &) = delete;
	Reserve &operator=(const Reserve &) = delete;
	~Reserve();

	// Of `bytes` needed now and `most` wanted as many addresses as there are, the former at least.
	// Touches the first. False where there are not even these.
	bool take(size_t bytes, size_t most, PageSize size = PageSize::huge);
	// Makes room for `bytes` where `data()` may move to. False where there is none: nothing
	// changes.
	bool extend(size_t used, size_t bytes);
	// Asks the kernel for [from, to) now; any thread may, while another uses the memory. False
	// where it has none.
	bool populate(size_t from, size_t to) const;

	uint8_t *data() const { return data_; }
	size_t room() const { return room_; }
	// What `used` bytes of it take of the machine's memory.
	size_t resident(size_t used) const;

private:
	void advise();

	uint8_t *data_ = nullptr;
	size_t room_ = 0;
	bool huge_first_ = false;
	PageSize page_size_ = PageSize::huge;
};

} // namespace reframer::base
