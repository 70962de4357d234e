#include "base/cores.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

namespace reframer::base {

namespace {

// "0,4-6": numbers and ranges of them. Empty where it is something else.
std::vector<int> read_list(std::string_view text)
{
	std::vector<int> list;
	const char *at = text.data(), *const end = at + text.size();
	while (at != end) {
		int first = 0;
		std::from_chars_result read = std::from_chars(at, end, first);
		if (read.ec != std::errc{} || first < 0)
			return {};
		int last = first;
		if (read.ptr != end && *read.ptr == '-')
			read = std::from_chars(read.ptr + 1, end, last);
		if (read.ec != std::errc{} || last < first || last - first > CPU_SETSIZE)
			return {};
		for (int i = first; i <= last; i++)
			list.push_back(i);
		if (read.ptr != end && *read.ptr != ',')
			return {};
		at = read.ptr == end ? end : read.ptr + 1;
	}
	return list;
}

// Without streams of the C++ library: linked in whole, they are half of what the archive then has.
std::string first_line(const std::string &name)
{
	const std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(name.c_str(), "re"), std::fclose);
	char line[4096];
	if (!file || !std::fgets(line, sizeof(line), file.get()))
		return {};
	return {line, std::strcspn(line, "\n")};
}

} // namespace

cpu_set_t set_of(int core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(static_cast<size_t>(core), &set);
	return set;
}

cpu_set_t affinity()
{
	cpu_set_t set;
	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		CPU_ZERO(&set);
	return set;
}

int set_affinity(pthread_t thread, const cpu_set_t &cores)
{
	return pthread_setaffinity_np(thread, sizeof(cores), &cores);
}

bool pin(pthread_t thread, int core)
{
	return set_affinity(thread, set_of(core)) == 0;
}

std::vector<int> allowed_cores()
{
	const cpu_set_t set = affinity();
	std::vector<int> cores;
	for (int c = 0; c < CPU_SETSIZE; c++)
		if (CPU_ISSET(static_cast<size_t>(c), &set))
			cores.push_back(c);
	return cores;
}

std::vector<int> thread_siblings(int cpu, const std::string &root)
{
	const std::string list_file =
		root + "/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list";
	const std::vector<int> list = read_list(first_line(list_file));
	if (std::find(list.begin(), list.end(), cpu) == list.end())
		return {cpu};
	return list;
}

std::optional<int> other_core(int cpu, std::span<const int> allowed, const std::string &root)
{
	const std::vector<int> siblings = thread_siblings(cpu, root);
	for (const int candidate : allowed)
		if (std::find(siblings.begin(), siblings.end(), candidate) == siblings.end())
			return candidate;
	return std::nullopt;
}

std::vector<int> one_per_core(std::span<const int> allowed, const std::string &root)
{
	std::vector<int> chosen;
	for (const int cpu : allowed) {
		const std::vector<int> siblings = thread_siblings(cpu, root);
		const bool taken = std::any_of(chosen.begin(), chosen.end(), [&](int other) {
			return std::find(siblings.begin(), siblings.end(), other) != siblings.end();
		});
		if (!taken)
			chosen.push_back(cpu);
	}
	return chosen;
}

std::vector<int> parse_cpu_list(const std::string &text)
{
	return read_list(text);
}

} // namespace reframer::base
