// What RETA and flow rules have in common: a table that is read, written in full or in part, and put
// back.
#pragma once

#include <cstdint>
#include <vector>

struct rsspp_dpdk_table {
	rsspp_dpdk_table(uint16_t port, uint32_t nb_entries, uint32_t nb_queues)
		: port(port), nb_queues(nb_queues), first(nb_entries)
	{
	}
	virtual ~rsspp_dpdk_table() = default;
	rsspp_dpdk_table(const rsspp_dpdk_table &) = delete;
	rsspp_dpdk_table &operator=(const rsspp_dpdk_table &) = delete;

	// 0 or negative errno.
	virtual int read(std::vector<uint16_t> &queues) = 0;
	// `now` is what read() gave.
	virtual int write(const std::vector<uint16_t> &now, const std::vector<uint16_t> &wanted) = 0;

	const uint16_t port;
	const uint32_t nb_queues;
	std::vector<uint16_t> first; // as it was when opened
};
