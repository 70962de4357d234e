#include "dpdk/pollers.hpp"

#include "base/cores.hpp"
#include "dpdk/eal.hpp"
#include "jobs/job.hpp"

#include <rte_lcore.h>

#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace reframer::dpdk {

namespace {

// EAL's short options take their value in the same word too: -l0,1.
bool names_lcores(const std::string &word)
{
	const bool is_short = word.size() > 1 && word[0] == '-' && (word[1] == 'l' || word[1] == 'c');
	return is_short || word == "--lcores" || word.rfind("--lcores=", 0) == 0;
}

std::string list(const cpu_set_t &set)
{
	std::string text;
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		size_t last = cpu;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set))
			last++;
		if (!text.empty())
			text += ',';
		text += std::to_string(cpu);
		if (last > cpu)
			text.append("-").append(std::to_string(last));
		cpu = last;
	}
	return text;
}

} // namespace

PollerCpus::PollerCpus(std::vector<std::string> options)
	: eal(std::move(options)), allowed(base::affinity()),
	  given(std::any_of(eal.begin(), eal.end(), names_lcores))
{
	if (CPU_COUNT(&allowed) == 0)
		throw lab::JobError("not-supported", "the kernel does not say which CPUs may be used", 3);
}

void PollerCpus::start_eal()
{
	if (!given) {
		size_t first = 0;
		while (!CPU_ISSET(first, &allowed))
			first++;
		eal.push_back("--lcores=0@" + std::to_string(first));
	}
	dpdk::start_eal(eal);
	if (given) {
		unsigned lcore;
		RTE_LCORE_FOREACH(lcore)
		sets.push_back(rte_lcore_cpuset(lcore));
	} else {
		for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &allowed))
				sets.push_back(base::set_of(int(cpu)));
	}
	base::set_affinity(pthread_self(), allowed);
}

uint32_t PollerCpus::usual(uint32_t otherwise) const
{
	return given ? count() : std::min(otherwise, count());
}

void PollerCpus::require(uint32_t nb_pollers) const
{
	if (nb_pollers <= count())
		return;
	const std::string there =
		given ? "EAL was given " + std::to_string(count()) + " lcores"
			  : "this process may use " + std::to_string(count()) + " CPUs (" + list(allowed) + ")";
	throw lab::JobError("bad-spec",
	                    "--cores " + std::to_string(nb_pollers) + ": " + there +
	                        ", and each polling thread takes one; ask for fewer",
	                    2);
}

std::thread PollerCpus::start(uint32_t index, const char *name, std::function<void()> work) const
{
	std::thread thread(std::move(work));
	pthread_setname_np(thread.native_handle(), name);
	const cpu_set_t &set = sets.at(index);
	const int error = base::set_affinity(thread.native_handle(), set);
	if (error != 0)
		warn(std::string(name) + " does not run on CPU " + list(set) +
		     " alone: " + std::strerror(error));
	return thread;
}

std::string PollerCpus::text(uint32_t index) const
{
	return list(sets.at(index));
}

void warn(const std::string &text)
{
	std::fprintf(stderr, "reframer: warning: %s\n", text.c_str());
}

} // namespace reframer::dpdk
