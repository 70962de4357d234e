// What memory the kernel really gave: asking for huge pages is no proof of having them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reframer::engine {

struct ProcessMemory {
	uint64_t resident; // bytes, reserved huge pages (hugetlbfs) included, which RSS leaves out
	uint64_t huge;     // of these, on huge pages of any kind

	// 0 where nothing is resident.
	double huge_share() const { return resident ? double(huge) / double(resident) : 0; }
	// What this has more than `before`.
	ProcessMemory operator-(const ProcessMemory &before) const
	{
		const auto more = [](uint64_t a, uint64_t b) { return b > a ? b - a : 0; };
		return {more(before.resident, resident), more(before.huge, huge)};
	}
};

// Of this process, by /proc/self/smaps_rollup. Walks the page tables: not on a packet path.
ProcessMemory process_memory();
// Of the mappings that [begin, begin + bytes) lies in, whole ones.
ProcessMemory memory_at(const void *begin, size_t bytes);

// Whether a range counts as backed by huge pages: its ends may lie on ordinary ones.
inline bool mostly_huge(const void *begin, size_t bytes)
{
	return memory_at(begin, bytes).huge_share() >= 0.9;
}

} // namespace reframer::engine
