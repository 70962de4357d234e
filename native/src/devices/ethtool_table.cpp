#include "devices/ethtool_table.hpp"

#include <cerrno>
#include <fstream>
#include <linux/if_link.h>
#include <net/if.h>
#include <sstream>

namespace reframer::engine {

XdpCounter::XdpCounter(unsigned interface_index, const packet::ToeplitzKey &key,
                       const HashedPorts &ports, uint32_t nb_buckets)
	: counters(nb_buckets), toeplitz(toeplitz_map(key)),
	  program(counting_program({toeplitz.get(), counters.fd(), -1, nb_buckets}, ports))
{
	link = FileDescriptor(bpf_xdp_link(program.get(), interface_index, XDP_FLAGS_DRV_MODE));
	if (link.get() < 0) {
		driver = false;
		link = FileDescriptor(bpf_xdp_link(program.get(), interface_index, XDP_FLAGS_SKB_MODE));
	}
	if (link.get() < 0)
		throw_errno("xdp", "cannot attach the counting XDP program");
}

EthtoolTable::EthtoolTable(const EthtoolParams &wanted, EthtoolCall call)
	: params(wanted), rss(params.interface, std::move(call)),
	  counter(if_nametoindex(params.interface.c_str()), rss.key(), rss.ports(), rss.table_size())
{
	if (params.cpus.empty())
		for (uint32_t q = 0; q < rss.nb_queues(); q++)
			params.cpus.push_back(q);
	if (params.cpus.size() != rss.nb_queues())
		throw DeviceError("bad-spec",
		                  params.interface + " has " + std::to_string(rss.nb_queues()) +
		                      " queues; name one CPU for each",
		                  false);
	last = cpu_times();
	for (uint32_t cpu : params.cpus)
		if (cpu >= last.size())
			throw DeviceError("bad-spec",
			                  "there is no CPU " + std::to_string(cpu) +
			                      "; name the CPUs that serve the queues",
			                  false);
}

std::vector<EthtoolTable::CpuTime> EthtoolTable::cpu_times() const
{
	std::vector<CpuTime> times;
	std::ifstream file("/proc/stat");
	for (std::string line; std::getline(file, line);) {
		if (line.compare(0, 3, "cpu") != 0 || line[3] == ' ')
			continue;
		std::istringstream fields(line.substr(3));
		uint32_t cpu = 0;
		fields >> cpu;
		times.resize(std::max<size_t>(times.size(), cpu + 1));
		uint64_t value = 0;
		// user nice system idle iowait irq softirq steal; guests are in user and nice.
		for (int i = 0; i < 8 && fields >> value; i++) {
			times[cpu].all += value;
			times[cpu].idle += i == 3 || i == 4 ? value : 0;
		}
	}
	return times;
}

int EthtoolTable::sample(std::span<uint64_t> packets, std::span<float> loads)
{
	if (packets.size() != rss.table_size() || loads.size() != rss.nb_queues())
		return -EINVAL;
	for (uint32_t b = 0; b < packets.size(); b++)
		packets[b] = counter.count(b);
	const std::vector<CpuTime> now = cpu_times();
	for (uint32_t q = 0; q < loads.size(); q++) {
		const uint32_t cpu = params.cpus[q];
		const uint64_t all = now[cpu].all - last[cpu].all, idle = now[cpu].idle - last[cpu].idle;
		loads[q] = all > 0 && idle <= all ? float(all - idle) / float(all) : 0.0f;
	}
	last = now;
	return 0;
}

uint64_t EthtoolTable::counted() const
{
	uint64_t sum = 0;
	for (uint32_t b = 0; b < rss.table_size(); b++)
		sum += counter.count(b);
	return sum;
}

} // namespace reframer::engine
