#include "allocation_counter.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <sys/types.h>

namespace {

std::atomic<uint64_t> calls{0};

void count()
{
	calls.fetch_add(1, std::memory_order_relaxed);
}

} // namespace

uint64_t reframer::test::memory_calls()
{
	return calls.load(std::memory_order_relaxed);
}

// What the linker makes of --wrap=NAME: calls to NAME arrive at __wrap_NAME, and the function
// itself is __real_NAME.
extern "C" {

#define WRAP(result, name, parameters, arguments)                                                  \
	result __real_##name parameters;                                                               \
	result __wrap_##name parameters;                                                               \
	result __wrap_##name parameters                                                                \
	{                                                                                              \
		count();                                                                                   \
		return __real_##name arguments;                                                            \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count_, size_t size), (count_, size))
WRAP(void *, realloc, (void *old, size_t size), (old, size))
WRAP(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
WRAP(int, posix_memalign, (void **out, size_t alignment, size_t size), (out, alignment, size))
WRAP(void, free, (void *memory), (memory))
WRAP(void *, mmap, (void *at, size_t size, int protection, int flags, int file, off_t offset),
     (at, size, protection, flags, file, offset))
WRAP(int, munmap, (void *at, size_t size), (at, size))

#undef WRAP
}

// The other forms of new and delete are defined in terms of these.
void *operator new(size_t size)
{
	if (void *memory = std::malloc(size ? size : 1))
		return memory;
	throw std::bad_alloc();
}

void *operator new(size_t size, std::align_val_t alignment)
{
	const auto align = static_cast<size_t>(alignment);
	if (void *memory = std::aligned_alloc(align, (size + align - 1) / align * align))
		return memory;
	throw std::bad_alloc();
}

void operator delete(void *memory) noexcept
{
	std::free(memory);
}
void operator delete(void *memory, size_t) noexcept
{
	std::free(memory);
}
void operator delete(void *memory, std::align_val_t) noexcept
{
	std::free(memory);
}
void operator delete(void *memory, size_t, std::align_val_t) noexcept
{
	std::free(memory);
}
