// A source node of librte_graph: polls an RX queue through Reframer and hands on what is due. A node
// behind ethdev_rx would not do: it runs only when packets come, and held ones would wait for them.
#include "dpdk/queue.hpp"
#include "dpdk/registry.hpp"

#include <rte_errno.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace {

constexpr char base_name[] = "reframer_rx";
constexpr uint16_t burst = RTE_GRAPH_BURST_SIZE / 4; // as ethdev_rx asks: 64

struct Context {
	reframer_dpdk_queue *queue;
};
static_assert(sizeof(Context) <= RTE_NODE_CTX_SZ);

uint16_t process(rte_graph *graph, rte_node *node, void **, uint16_t)
{
	Context context;
	std::memcpy(&context, node->ctx, sizeof(context));
	const uint16_t n =
		reframer_dpdk_rx_burst(context.queue, reinterpret_cast<rte_mbuf **>(node->objs), burst);
	if (n > 0) {
		node->idx = n;
		rte_node_next_stream_move(graph, node, 0);
	}
	return n;
}

// The node knows the queue by its own name.
int init(const rte_graph *, rte_node *node)
{
	Context context = {nullptr};
	reframer::dpdk::Registry<reframer_dpdk_queue>::each([&](reframer_dpdk_queue &queue) {
		char name[RTE_NODE_NAMESIZE];
		std::snprintf(name, sizeof(name), "%s-%u-%u", base_name, queue.port, queue.queue);
		if (std::strcmp(name, node->name) == 0)
			context.queue = &queue;
	});
	if (context.queue == nullptr)
		return -ENOENT;
	std::memcpy(node->ctx, &context, sizeof(context));
	return 0;
}

rte_node_t base_node()
{
	static const rte_node_t id = [] {
		// Room for one name behind the struct's flexible array; edges come with the clones.
		alignas(
			rte_node_register) static char memory[sizeof(rte_node_register) + sizeof(const char *)];
		auto *node = reinterpret_cast<rte_node_register *>(memory);
		std::snprintf(node->name, sizeof(node->name), "%s", base_name);
		node->flags = RTE_NODE_SOURCE_F;
		node->process = process;
		node->init = init;
		node->id = RTE_NODE_ID_INVALID;
		node->parent_id = RTE_NODE_ID_INVALID;
		node->nb_edges = 0;
		return __rte_node_register(node);
	}();
	return id;
}

} // namespace

extern "C" int reframer_dpdk_graph_node(reframer_dpdk_queue *queue, const char *next,
                                        uint32_t *node)
{
	if (queue == nullptr || next == nullptr || node == nullptr)
		return -EINVAL;
	if (rte_node_from_name(next) == RTE_NODE_ID_INVALID)
		return -ENOENT;
	const rte_node_t base = base_node();
	if (base == RTE_NODE_ID_INVALID)
		return -ENOMEM;
	char suffix[RTE_NODE_NAMESIZE];
	std::snprintf(suffix, sizeof(suffix), "%u-%u", queue->port, queue->queue);
	const rte_node_t id = rte_node_clone(base, suffix);
	if (id == RTE_NODE_ID_INVALID)
		return rte_errno ? -rte_errno : -ENOMEM;
	if (rte_node_edge_update(id, RTE_EDGE_ID_INVALID, &next, 1) != 1)
		return -ENOMEM;
	*node = id;
	return 0;
}
