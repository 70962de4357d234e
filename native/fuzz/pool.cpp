// Memory of programs that fuzz without sanitizers: a table or stage a sequence means pages from the
// kernel and back to it, thousands of times a second, ten times what the calls under test take.
// Here they come from a pool, zeroed anew as the kernel's are, and are filled with a pattern when they
// are given back: who reads or jumps through them then goes wrong. The sanitized programs keep
// the kernel's pages and the sanitizer's heap, which see the access itself.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REFRAMER_SANITIZED
#endif
#endif

#ifndef REFRAMER_SANITIZED

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr size_t page = 4096;
constexpr size_t largest = size_t{1} << 20;
// A sequence has at most a few tables of some tens of KiB at once.
constexpr size_t pool_bytes = size_t{64} << 20;
constexpr int table_flags = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr int stale = 0xa5;

struct Free {
	Free *next;
};

// Only the thread that fuzzes maps tables; libFuzzer's own threads map nothing of these sizes
// through this symbol.
uint8_t *pool;
size_t taken;
Free *free_blocks[32];

size_t block_of(size_t bytes)
{
	return std::bit_ceil(bytes < page ? page : bytes);
}

void *from_kernel(void *at, size_t bytes, int protection, int flags, int file, off_t offset)
{
	return reinterpret_cast<void *>(syscall(SYS_mmap, at, bytes, protection, flags, file, offset));
}

} // namespace

extern "C" {

void *mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset) noexcept
{
	const bool is_table = !at && (flags & ~MAP_POPULATE) == table_flags && file == -1 &&
	                      bytes <= largest && protection == (PROT_READ | PROT_WRITE);
	if (!is_table)
		return from_kernel(at, bytes, protection, flags, file, offset);
	if (!pool) {
		void *made = from_kernel(nullptr, pool_bytes, protection, table_flags, -1, 0);
		if (made == MAP_FAILED)
			return made;
		pool = static_cast<uint8_t *>(made);
	}
	const size_t size = block_of(bytes);
	Free *&first = free_blocks[std::countr_zero(size)];
	if (first) {
		void *block = first;
		first = first->next;
		std::memset(block, 0, bytes);
		return block;
	}
	if (taken + size > pool_bytes)
		return from_kernel(at, bytes, protection, flags, file, offset);
	taken += size;
	return pool + taken - size;
}

int munmap(void *at, size_t bytes) noexcept
{
	auto *block = static_cast<uint8_t *>(at);
	if (!pool || block < pool || block >= pool + pool_bytes)
		return int(syscall(SYS_munmap, at, bytes));
	std::memset(block, stale, bytes);
	auto *freed = reinterpret_cast<Free *>(block);
	Free *&first = free_blocks[std::countr_zero(block_of(bytes))];
	freed->next = first;
	first = freed;
	return 0;
}

// The heap keeps what is freed, too.
int LLVMFuzzerInitialize(int *, char ***)
{
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	mallopt(M_TOP_PAD, 16 << 20);
	return 0;
}
}

#endif
