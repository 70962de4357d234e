#include "dpdk/table.hpp"

#include "reframer/dpdk.h"

#include <algorithm>
#include <cerrno>
#include <new>

namespace {

int write_verified(rsspp_dpdk_table &table, const std::vector<uint16_t> &wanted,
                   uint32_t *nb_refused)
{
	std::vector<uint16_t> now(wanted.size());
	int error = table.read(now);
	if (error == 0 && now != wanted)
		error = table.write(now, wanted);
	const int read_error = table.read(now);
	uint32_t refused = uint32_t(wanted.size());
	if (read_error == 0) {
		refused = 0;
		for (size_t i = 0; i < wanted.size(); i++)
			refused += now[i] != wanted[i];
	}
	if (nb_refused)
		*nb_refused = refused;
	if (error != 0)
		return error;
	return read_error != 0 ? read_error : refused > 0 ? -EIO : 0;
}

} // namespace

extern "C" void rsspp_dpdk_table_close(rsspp_dpdk_table *table)
{
	delete table;
}

extern "C" uint32_t rsspp_dpdk_table_size(const rsspp_dpdk_table *table)
{
	return uint32_t(table->first.size());
}

extern "C" int rsspp_dpdk_table_read(rsspp_dpdk_table *table, uint16_t *queues)
try {
	std::vector<uint16_t> now(table->first.size());
	const int error = table->read(now);
	if (error == 0)
		std::copy(now.begin(), now.end(), queues);
	return error;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

extern "C" int rsspp_dpdk_table_write(rsspp_dpdk_table *table, const uint16_t *queues,
                                      uint32_t *nb_refused)
try {
	const std::vector<uint16_t> wanted(queues, queues + table->first.size());
	for (uint16_t queue : wanted)
		if (queue >= table->nb_queues)
			return -EINVAL;
	return write_verified(*table, wanted, nb_refused);
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

extern "C" int rsspp_dpdk_table_restore(rsspp_dpdk_table *table)
try {
	return write_verified(*table, table->first, nullptr);
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}
