#include "nf/backends.hpp"

#include "nf/prefixes.hpp"

#include <stdexcept>

namespace reframer::nf {

Backends::Backends(uint32_t servers, uint64_t seed) : size_(servers), table_(table_size)
{
	if (servers < 1 || servers > max_servers)
		throw std::invalid_argument("a load balancer has 1 to 256 servers");
	Random random{seed ^ 0x736572766572};
	struct Order {
		uint64_t next, skip;
	};
	std::vector<Order> orders;
	for (uint32_t i = 0; i < servers; i++)
		orders.push_back({random.next() % table_size, 1 + random.next() % (table_size - 1)});
	std::vector<bool> taken(table_size);
	for (uint32_t filled = 0; filled < table_size; filled++) {
		uint32_t server = filled % servers;
		Order &o = orders[server];
		while (taken[o.next])
			o.next = (o.next + o.skip) % table_size;
		taken[o.next] = true;
		table_[o.next] = static_cast<uint16_t>(server);
	}
}

} // namespace reframer::nf
