// A table as the queue list of an rte_flow RSS action, double-buffered over two groups of rules.
#include "dpdk/table.hpp"

#include "reframer/dpdk.h"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

#include <bit>
#include <cerrno>
#include <memory>
#include <utility>

namespace {

// Group 0 always leads to `entry_group`; its one jump leads to one of the two table groups.
constexpr uint32_t root_group = 0, entry_group = 1;
constexpr uint32_t table_groups[2] = {2, 3};
// Two rules of one pattern need different priorities; the lower number wins.
constexpr uint32_t jump_priorities[2] = {1, 0};

class FlowTable final : public rsspp_dpdk_table {
public:
	using rsspp_dpdk_table::rsspp_dpdk_table;

	~FlowTable() override
	{
		// From the outside in: nothing leads to a group that is gone.
		destroy(root);
		for (Half &half : halves) {
			destroy(half.jump);
			destroy(half.rss);
		}
	}

	int open()
	{
		rte_eth_dev_info info;
		if (const int error = rte_eth_dev_info_get(port, &info); error != 0)
			return error;
		hashed = info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
		for (size_t i = 0; i < first.size(); i++)
			first[i] = uint16_t(i % nb_queues);
		if (const int error = install(first); error != 0)
			return error;
		return create_jump(root_group, 0, entry_group, root);
	}

	// There is no asking the port: what the accepted rule says.
	int read(std::vector<uint16_t> &queues) override
	{
		queues = current;
		return 0;
	}
	int write(const std::vector<uint16_t> &, const std::vector<uint16_t> &wanted) override
	{
		return install(wanted);
	}

private:
	struct Half {
		rte_flow *rss = nullptr, *jump = nullptr;
	};

	int install(const std::vector<uint16_t> &queues)
	{
		const unsigned next = 1 - active;
		Half &fresh = halves[next], &old = halves[active];
		// Left from an attempt that failed half way through. The jump first: it leads to the rule.
		for (rte_flow **left : {&fresh.jump, &fresh.rss})
			if (const int error = destroy(*left); error != 0)
				return error;
		if (const int error = create_rss(table_groups[next], queues, fresh.rss); error != 0)
			return error;
		// With the better priority it counts from now on, with the worse one from the old jump's end:
		// there is no moment without a jump.
		if (const int error =
		        create_jump(entry_group, jump_priorities[next], table_groups[next], fresh.jump);
		    error != 0) {
			destroy(fresh.rss);
			return error;
		}
		if (const int error = destroy(old.jump); error != 0) {
			// Back to what was. Where neither jump goes, the better priority says which table counts; what
			// is left of the other goes with the next attempt.
			if (destroy(fresh.jump) == 0) {
				destroy(fresh.rss);
			} else if (jump_priorities[next] < jump_priorities[active]) {
				active = next;
				current = queues;
			}
			return error;
		}
		destroy(old.rss);
		active = next;
		current = queues;
		return 0;
	}

	int create_rss(uint32_t to_group, const std::vector<uint16_t> &queues, rte_flow *&flow)
	{
		rte_flow_action_rss rss = {};
		rss.types = hashed;
		rss.queue_num = uint32_t(queues.size());
		rss.queue = queues.data();
		const rte_flow_action actions[] = {{RTE_FLOW_ACTION_TYPE_RSS, &rss},
		                                   {RTE_FLOW_ACTION_TYPE_END, nullptr}};
		return create(to_group, 0, actions, flow);
	}

	int create_jump(uint32_t from, uint32_t priority, uint32_t to, rte_flow *&flow)
	{
		rte_flow_action_jump jump = {to};
		const rte_flow_action actions[] = {{RTE_FLOW_ACTION_TYPE_JUMP, &jump},
		                                   {RTE_FLOW_ACTION_TYPE_END, nullptr}};
		return create(from, priority, actions, flow);
	}

	int create(uint32_t in_group, uint32_t priority, const rte_flow_action *actions,
	           rte_flow *&flow)
	{
		rte_flow_attr attributes = {};
		attributes.group = in_group;
		attributes.priority = priority;
		attributes.ingress = 1;
		const rte_flow_item pattern[] = {{RTE_FLOW_ITEM_TYPE_ETH, nullptr, nullptr, nullptr},
		                                 {RTE_FLOW_ITEM_TYPE_END, nullptr, nullptr, nullptr}};
		rte_flow_error error = {};
		if (const int result = rte_flow_validate(port, &attributes, pattern, actions, &error);
		    result != 0)
			return result == -ENOSYS ? -ENOTSUP : result;
		flow = rte_flow_create(port, &attributes, pattern, actions, &error);
		return flow != nullptr ? 0 : rte_errno != 0 ? -rte_errno : -EIO;
	}

	int destroy(rte_flow *&flow)
	{
		if (flow == nullptr)
			return 0;
		rte_flow_error error = {};
		const int result = rte_flow_destroy(port, flow, &error);
		if (result == 0)
			flow = nullptr;
		return result;
	}

	Half halves[2];
	rte_flow *root = nullptr;
	unsigned active = 1;
	uint64_t hashed = 0;
	std::vector<uint16_t> current;
};

} // namespace

extern "C" int rsspp_dpdk_flow_open(uint16_t port, uint32_t nb_entries, uint32_t nb_queues,
                                    rsspp_dpdk_table **out)
try {
	if (out == nullptr || nb_queues == 0 || nb_queues > UINT16_MAX || nb_entries < 2 ||
	    nb_entries > UINT16_MAX || !std::has_single_bit(nb_entries))
		return -EINVAL;
	if (!rte_eth_dev_is_valid_port(port))
		return -ENODEV;
	auto table = std::make_unique<FlowTable>(port, nb_entries, nb_queues);
	if (const int error = table->open(); error != 0)
		return error;
	*out = table.release();
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}
