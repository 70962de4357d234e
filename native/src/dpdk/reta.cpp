// The RETA of a port, in groups of 64 entries as ethdev hands them over.
#include "dpdk/table.hpp"

#include "reframer/dpdk.h"

#include <rte_ethdev.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <memory>

namespace {

constexpr uint32_t group = RTE_ETH_RETA_GROUP_SIZE;
static_assert(group == 64);

class RetaTable final : public rsspp_dpdk_table {
public:
	using rsspp_dpdk_table::rsspp_dpdk_table;

	int read(std::vector<uint16_t> &queues) override
	{
		std::vector<rte_eth_rss_reta_entry64> groups = empty_groups();
		// Every bit set: drivers fill only the entries that are asked for.
		for (uint32_t i = 0; i < queues.size(); i++)
			groups[i / group].mask |= uint64_t{1} << i % group;
		const int error = rte_eth_dev_rss_reta_query(port, groups.data(), uint16_t(queues.size()));
		for (uint32_t i = 0; error == 0 && i < queues.size(); i++)
			queues[i] = groups[i / group].reta[i % group];
		return error;
	}

	int write(const std::vector<uint16_t> &now, const std::vector<uint16_t> &wanted) override
	{
		std::vector<rte_eth_rss_reta_entry64> groups = empty_groups();
		for (uint32_t i = 0; i < wanted.size(); i++) {
			groups[i / group].reta[i % group] = wanted[i];
			if (now[i] != wanted[i])
				groups[i / group].mask = ~uint64_t{0};
		}
		return rte_eth_dev_rss_reta_update(port, groups.data(), uint16_t(wanted.size()));
	}

private:
	std::vector<rte_eth_rss_reta_entry64> empty_groups() const
	{
		return std::vector<rte_eth_rss_reta_entry64>((first.size() + group - 1) / group);
	}
};

} // namespace

extern "C" int rsspp_dpdk_reta_open(uint16_t port, uint32_t nb_queues, rsspp_dpdk_table **out)
try {
	if (out == nullptr || nb_queues == 0 || nb_queues > UINT16_MAX)
		return -EINVAL;
	rte_eth_dev_info info;
	if (const int error = rte_eth_dev_info_get(port, &info); error != 0)
		return error;
	// The balancer finds a packet's entry by the low bits of its hash.
	if (info.reta_size < group || !std::has_single_bit(info.reta_size))
		return -ENOTSUP;
	auto table = std::make_unique<RetaTable>(port, info.reta_size, nb_queues);
	if (const int error = table->read(table->first); error != 0)
		return error;
	*out = table.release();
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}
