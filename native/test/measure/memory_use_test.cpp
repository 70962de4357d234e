// Huge pages are what the kernel gave, not what was asked for.
#include "base/pages.hpp"
#include "base/region.hpp"
#include "measure/memory_use.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include <sys/mman.h>
#include <sys/prctl.h>

using namespace reframer;

namespace {

constexpr size_t size = size_t{16} << 20;

// Whether this kernel gives huge pages to those who ask, at least now and then.
bool kernel_gives()
{
	std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
	std::string setting;
	std::getline(file, setting);
	return !setting.empty() && setting.find("[never]") == std::string::npos;
}

} // namespace

TEST_CASE("memory that is touched is resident, page by page")
{
	void *p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(p != MAP_FAILED);
	madvise(p, size, MADV_NOHUGEPAGE);
	const uint64_t before = engine::process_memory().resident;
	for (size_t at = 0; at < size / 2; at += 4096)
		static_cast<volatile char *>(p)[at] = 1;
	const engine::ProcessMemory here = engine::memory_at(p, size);
	CHECK(here.resident == size / 2);
	CHECK(here.huge == 0);
	CHECK_FALSE(engine::mostly_huge(p, size));
	CHECK(engine::process_memory().resident >= before + size / 2);
	munmap(p, size);
	CHECK(engine::memory_at(p, size).resident == 0);
}

TEST_CASE("with transparent huge pages off, who asked has none")
{
	REQUIRE(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
	const base::Region<char> region(size);
	base::Pages pages;
	REQUIRE(pages.map(size));
	pages.touch();
	CHECK(engine::memory_at(region.data(), size).resident >= size);
	CHECK_FALSE(engine::mostly_huge(region.data(), size));
	CHECK_FALSE(engine::mostly_huge(pages.data(), size));
	REQUIRE(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0);
}

TEST_CASE("huge pages that the kernel gave are seen")
{
	if (!kernel_gives()) {
		MESSAGE("skipped: transparent huge pages are off");
		return;
	}
	const base::Region<char> region(size);
	const engine::ProcessMemory here = engine::memory_at(region.data(), size);
	CHECK(here.resident >= size);
	// A kernel short of free blocks may give fewer; most of a fresh region is usual.
	WARN(here.huge >= size / 2);
	CHECK(engine::mostly_huge(region.data(), size) == (here.huge_share() >= 0.9));
}

TEST_CASE("reserved huge pages count as resident")
{
	void *p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
	               -1, 0);
	if (p == MAP_FAILED) {
		MESSAGE("skipped: no huge pages are reserved (vm.nr_hugepages)");
		return;
	}
	const engine::ProcessMemory before = engine::process_memory();
	for (size_t at = 0; at < size; at += 4096)
		static_cast<volatile char *>(p)[at] = 1;
	const engine::ProcessMemory after = engine::process_memory();
	CHECK(after.resident >= before.resident + size);
	CHECK(after.huge >= before.huge + size);
	CHECK(engine::mostly_huge(p, size));
	munmap(p, size);
}
