#include "devices/ethtool_table.hpp"

#include <cerrno>
#include <linux/if_link.h>
#include <net/if.h>

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

namespace {

std::vector<uint32_t> cpu_of_each(std::vector<uint32_t> cpus, uint32_t nb_queues)
{
	if (cpus.empty())
		for (uint32_t q = 0; q < nb_queues; q++)
			cpus.push_back(q);
	return cpus;
}

} // namespace

EthtoolTable::EthtoolTable(const EthtoolParams &wanted, EthtoolCall call)
	: params(wanted), rss(params.interface, std::move(call)),
	  counter(if_nametoindex(params.interface.c_str()), rss.key(), rss.ports(), rss.table_size()),
	  cpus(cpu_of_each(params.cpus, rss.nb_queues()))
{
	if (cpus.cpus().size() != rss.nb_queues())
		throw DeviceError("bad-spec",
		                  params.interface + " has " + std::to_string(rss.nb_queues()) +
		                      " queues; name one CPU for each",
		                  false);
}

int EthtoolTable::sample(std::span<uint64_t> packets, std::span<float> loads)
{
	if (packets.size() != rss.table_size() || loads.size() != rss.nb_queues())
		return -EINVAL;
	for (uint32_t b = 0; b < packets.size(); b++)
		packets[b] = counter.count(b);
	cpus.sample(loads);
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
