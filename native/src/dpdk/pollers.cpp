#include "dpdk/pollers.hpp"

#include "base/cores.hpp"
#include "dpdk/eal.hpp"
#include "jobs/job.hpp"

#include <rte_launch.h>
#include <rte_lcore.h>

#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace reframer::dpdk {

namespace {

// EAL's short options take their value in the same word too: -l0,1.
bool names_lcores(const std::string &word)
{
	const bool is_short = word.size() > 1 && word[0] == '-' && (word[1] == 'l' || word[1] == 'c');
	return is_short || word == "--lcores" || word.rfind("--lcores=", 0) == 0;
}

std::vector<int> numbers(const cpu_set_t &set)
{
	std::vector<int> all;
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			all.push_back(int(cpu));
	return all;
}

std::string list(const std::vector<int> &cpus)
{
	std::string text;
	for (size_t i = 0; i < cpus.size(); i++) {
		size_t last = i;
		while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1)
			last++;
		if (!text.empty())
			text += ',';
		text += std::to_string(cpus[i]);
		if (last > i)
			text.append("-").append(std::to_string(cpus[last]));
		i = last;
	}
	return text;
}

// CPUs of the NUMA node that a PCI device is on; none for any other port.
std::vector<int> cpus_near(const std::string &port)
{
	std::string address = port.substr(0, port.find(','));
	if (std::count(address.begin(), address.end(), ':') == 1)
		address = "0000:" + address;
	if (address.find('/') != address.npos)
		return {};
	std::ifstream file("/sys/bus/pci/devices/" + address + "/local_cpulist");
	std::string line;
	return std::getline(file, line) ? base::parse_cpu_list(line) : std::vector<int>();
}

} // namespace

int Poller::run(void *argument)
{
	const auto *work = static_cast<const Work *>(argument);
	pthread_setname_np(pthread_self(), work->name.c_str());
	work->run();
	return 0;
}

void Poller::join()
{
	if (thread.joinable())
		thread.join();
	else if (work)
		rte_eal_wait_lcore(lcore);
	work.reset();
}

PollerCpus::PollerCpus(std::vector<std::string> options, const PollerWish &wished)
	: eal(std::move(options)), allowed(base::affinity()), wish(wished),
	  given(std::any_of(eal.begin(), eal.end(), names_lcores))
{
	if (CPU_COUNT(&allowed) == 0)
		throw lab::JobError("not-supported", "the kernel does not say which CPUs may be used", 3);
	std::vector<int> all = numbers(allowed);
	const std::vector<int> near = cpus_near(wish.near);
	std::stable_partition(all.begin(), all.end(), [&](int cpu) {
		return std::find(near.begin(), near.end(), cpu) != near.end();
	});
	chosen = wish.siblings ? all : base::one_per_core(all);
}

void PollerCpus::start_eal(uint32_t nb_pollers)
{
	const size_t nb_lcores = std::min<size_t>(nb_pollers, chosen.size());
	if (!given) {
		// The main lcore waits for commands and may be anywhere; EAL's own threads are where it is.
		std::string lcores = "--lcores=0@(" + list(numbers(allowed)) + ")";
		for (size_t i = 0; i < nb_lcores; i++)
			lcores.append(",")
				.append(std::to_string(i + 1))
				.append("@")
				.append(std::to_string(chosen[i]));
		eal.push_back(lcores);
	}
	dpdk::start_eal(eal);
	if (given) {
		unsigned lcore;
		RTE_LCORE_FOREACH(lcore)
		places.push_back(
			{lcore == rte_get_main_lcore() ? no_lcore : lcore, rte_lcore_cpuset(lcore)});
		warn_of_shared_cores();
	} else {
		for (size_t i = 0; i < chosen.size(); i++)
			places.push_back({i < nb_lcores ? unsigned(i + 1) : no_lcore, base::set_of(chosen[i])});
	}
	base::set_affinity(pthread_self(), allowed);
}

// They were named one by one, so they are used.
void PollerCpus::warn_of_shared_cores() const
{
	std::vector<int> all;
	for (const Place &place : places)
		for (const int cpu : numbers(place.cpus))
			all.push_back(cpu);
	const size_t cores = base::one_per_core(all).size();
	if (!wish.siblings && cores < all.size())
		warn("the lcores " + list(all) + " are threads of " + std::to_string(cores) +
		     " cores; two that poll on one core share its caches and its time");
}

uint32_t PollerCpus::usual(uint32_t otherwise) const
{
	return given ? count() : std::min(otherwise, count());
}

void PollerCpus::require(uint32_t nb_pollers) const
{
	if (nb_pollers <= count())
		return;
	const int threads = CPU_COUNT(&allowed);
	const std::string cpus = list(numbers(allowed));
	std::string there;
	if (given)
		there = "EAL was given " + std::to_string(count()) + " lcores";
	else if (count() == uint32_t(threads))
		there = "this process may use " + std::to_string(count()) + " CPUs (" + cpus + ")";
	else
		there = "this process may use " + std::to_string(count()) + " cores (CPUs " + cpus +
		        " are threads of them, which --siblings takes)";
	throw lab::JobError("bad-spec",
	                    "--cores " + std::to_string(nb_pollers) + ": " + there +
	                        ", and each polling thread takes one; ask for fewer",
	                    2);
}

Poller PollerCpus::start(uint32_t index, std::string name, std::function<void()> run) const
{
	const Place &place = places.at(index);
	Poller poller;
	poller.work = std::make_unique<Poller::Work>(Poller::Work{std::move(name), std::move(run)});
	const auto *work = poller.work.get();
	poller.lcore = place.lcore;
	const bool free = place.lcore != no_lcore && rte_eal_get_lcore_state(place.lcore) == WAIT;
	if (free && rte_eal_remote_launch(Poller::run, poller.work.get(), place.lcore) == 0)
		return poller;
	poller.thread = std::thread([work, set = place.cpus] {
		const int error = base::set_affinity(pthread_self(), set);
		if (error != 0)
			warn(work->name + " does not run on CPU " + list(numbers(set)) +
			     " alone: " + std::strerror(error));
		// An lcore number gives this thread its cache of packet buffers. Without one it works too.
		rte_thread_register();
		Poller::run(const_cast<Poller::Work *>(work));
		rte_thread_unregister();
	});
	return poller;
}

std::string PollerCpus::text(uint32_t index) const
{
	return list(numbers(places.at(index).cpus));
}

void PollerCpus::warn_if_far(uint32_t index, int port_socket, const std::string &port) const
{
	const Place &place = places.at(index);
	if (place.lcore == no_lcore || port_socket < 0)
		return;
	const int socket = int(rte_lcore_to_socket_id(place.lcore));
	if (socket != port_socket)
		warn("CPU " + text(index) + " is on NUMA node " + std::to_string(socket) + ", " + port +
		     " on node " + std::to_string(port_socket) + ": each packet crosses between them");
}

void warn(const std::string &text)
{
	std::fprintf(stderr, "reframer: warning: %s\n", text.c_str());
}

} // namespace reframer::dpdk
