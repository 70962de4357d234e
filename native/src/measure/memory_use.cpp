#include "measure/memory_use.hpp"

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

namespace reframer::engine {

namespace {

// Adds what a line of smaps says. Fields are in KiB, whatever they are.
void add(ProcessMemory &sum, const std::string &line)
{
	constexpr struct {
		const char *field;
		bool resident, huge;
	} fields[] = {
		{"Rss:", true, false},
		{"AnonHugePages:", false, true},
		{"ShmemPmdMapped:", false, true},
		{"FilePmdMapped:", false, true},
		// These two are in no Rss.
		{"Shared_Hugetlb:", true, true},
		{"Private_Hugetlb:", true, true},
	};
	for (const auto &f : fields) {
		if (!line.starts_with(f.field))
			continue;
		const uint64_t bytes = std::stoull(line.substr(line.find(':') + 1)) * 1024;
		sum.resident += f.resident ? bytes : 0;
		sum.huge += f.huge ? bytes : 0;
	}
}

} // namespace

ProcessMemory process_memory()
{
	ProcessMemory sum{0, 0};
	// One summary since Linux 4.14; before that the mappings one by one.
	for (const char *name : {"/proc/self/smaps_rollup", "/proc/self/smaps"}) {
		std::ifstream file(name);
		for (std::string line; std::getline(file, line);)
			add(sum, line);
		if (sum.resident > 0)
			break;
	}
	return sum;
}

ProcessMemory memory_at(const void *begin, size_t bytes)
{
	const auto first = reinterpret_cast<uintptr_t>(begin);
	ProcessMemory sum{0, 0};
	std::ifstream file("/proc/self/smaps");
	bool inside = false;
	for (std::string line; std::getline(file, line);) {
		uintptr_t from = 0, to = 0;
		if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			inside = from < first + bytes && first < to;
		else if (inside)
			add(sum, line);
	}
	return sum;
}

} // namespace reframer::engine
