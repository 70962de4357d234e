// Telemetry commands. They only read, on telemetry's own thread.
#include "dpdk/balancer.hpp"
#include "dpdk/queue.hpp"
#include "dpdk/registry.hpp"
#include "dpdk/shown.hpp"
#include "dpdk/table.hpp"
#include "reframer/hold_times.hpp"

#include <rte_telemetry.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

using namespace reframer::dpdk;

namespace {

// Telemetry hands all errors on as an empty answer; a command without its object says so by -ENOENT.
constexpr int no_object = -ENOENT;

// Released by reason, in the order of enum reframer_reason.
constexpr const char *reasons[] = {"released_by_deadline", "released_by_early",
                                   "released_by_bypass",   "released_by_burst",
                                   "released_by_capacity", "released_by_drain"};
static_assert(std::size(reasons) == REFRAMER_NB_REASONS);

struct Where {
	unsigned port = 0, queue = 0;
	// "PORT,QUEUE"; nothing means the first object there is.
	bool all = true;
	bool parse(const char *params)
	{
		if (params == nullptr || *params == 0)
			return true;
		char rest;
		const int n = std::sscanf(params, "%u,%u%c", &port, &queue, &rest);
		all = false;
		return n == 1 || n == 2;
	}
};

template <typename Work> int with_queue(const char *params, Work work)
{
	Where where;
	if (!where.parse(params))
		return -EINVAL;
	bool found = false;
	Registry<reframer_dpdk_queue>::each([&](const reframer_dpdk_queue &queue) {
		if (found || (!where.all && (queue.port != where.port || queue.queue != where.queue)))
			return;
		found = true;
		work(queue);
	});
	return found ? 0 : no_object;
}

int list_queues(const char *, const char *, rte_tel_data *d)
{
	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	Registry<reframer_dpdk_queue>::each([&](const reframer_dpdk_queue &queue) {
		rte_tel_data_add_array_string(
			d, (std::to_string(queue.port) + "," + std::to_string(queue.queue)).c_str());
	});
	return 0;
}

int queue_stats(const char *, const char *params, rte_tel_data *d)
{
	return with_queue(params, [&](const reframer_dpdk_queue &queue) {
		reframer_dpdk_stats s;
		queue.stats(s);
		reframer::stage::HoldTimes holds;
		holds.add(queue.stage);
		const auto add = [&](const char *name, uint64_t value) {
			rte_tel_data_add_dict_u64(d, name, value);
		};
		rte_tel_data_start_dict(d);
		add("port", s.port);
		add("queue", s.queue);
		add("nic_hash", s.nic_hash);
		add("polls", s.polls);
		add("empty_polls", s.empty_polls);
		add("packets_in", s.stage.packets_in);
		add("packets_out", s.stage.packets_out);
		add("packets_thinned", s.stage.packets_thinned);
		add("packets_held", s.stage.packets_held);
		add("packets_held_max", s.stage.packets_held_max);
		add("max_packets", s.max_packets);
		add("bytes_in", s.stage.bytes_in);
		add("bytes_out", s.stage.bytes_out);
		add("bytes_held", s.stage.bytes_held);
		add("runs_in", s.stage.runs_in);
		add("runs_out", s.stage.runs_out);
		add("groups_held", s.stage.groups_held);
		for (uint32_t i = 0; i < REFRAMER_NB_REASONS; i++)
			add(reasons[i], s.stage.released[i]);
		add("bypassed", s.stage.bypassed);
		add("repaired", s.stage.repaired);
		add("unparsed", s.stage.unparsed);
		add("without_hash", s.without_hash);
		add("in_pieces", s.in_pieces);
		add("freed", s.freed);
		add("delay_ns", s.stage.delay_ns);
		add("hold_max_ns", s.stage.hold_max_ns);
		add("hold_p50_ns", holds.quantile(0.5));
		add("hold_p99_ns", holds.quantile(0.99));
	});
}

int queue_histogram(const char *, const char *params, rte_tel_data *d)
{
	return with_queue(params, [&](const reframer_dpdk_queue &queue) {
		reframer::stage::HoldTimes holds;
		holds.add(queue.stage);
		rte_tel_data *low = rte_tel_data_alloc(), *count = rte_tel_data_alloc();
		rte_tel_data_start_dict(d);
		if (low == nullptr || count == nullptr) {
			rte_tel_data_free(low);
			rte_tel_data_free(count);
			return;
		}
		rte_tel_data_start_array(low, RTE_TEL_U64_VAL);
		rte_tel_data_start_array(count, RTE_TEL_U64_VAL);
		for (uint32_t b = 0; b < REFRAMER_HISTOGRAM_BUCKETS; b++) {
			if (holds.packets[b] == 0)
				continue;
			rte_tel_data_add_array_u64(low, reframer_histogram_low_ns(b));
			rte_tel_data_add_array_u64(count, holds.packets[b]);
		}
		rte_tel_data_add_dict_container(d, "low_ns", low, 0);
		rte_tel_data_add_dict_container(d, "packets", count, 0);
	});
}

int list_balancers(const char *, const char *, rte_tel_data *d)
{
	rte_tel_data_start_array(d, RTE_TEL_U64_VAL);
	Registry<rsspp_dpdk_balancer>::each(
		[&](const rsspp_dpdk_balancer &b) { rte_tel_data_add_array_u64(d, b.table->port); });
	return 0;
}

int balancer_table(const char *, const char *params, rte_tel_data *d)
{
	Where where;
	if (!where.parse(params))
		return -EINVAL;
	bool found = false;
	Registry<rsspp_dpdk_balancer>::each([&](const rsspp_dpdk_balancer &b) {
		if (found || (!where.all && b.table->port != where.port))
			return;
		found = true;
		rte_tel_data_start_dict(d);
		rte_tel_data_add_dict_u64(d, "port", b.table->port);
		rte_tel_data_add_dict_u64(d, "epochs", b.epochs.load(std::memory_order_relaxed));
		rte_tel_data_add_dict_u64(d, "moves", b.moved.load(std::memory_order_relaxed));
		rte_tel_data_add_dict_u64(d, "refused", b.refused.load(std::memory_order_relaxed));
		rte_tel_data *owners = rte_tel_data_alloc(), *loads = rte_tel_data_alloc();
		if (owners == nullptr || loads == nullptr) {
			rte_tel_data_free(owners);
			rte_tel_data_free(loads);
			return;
		}
		rte_tel_data_start_array(owners, RTE_TEL_INT_VAL);
		for (uint32_t i = 0; i < std::min<uint32_t>(b.nb_buckets, RTE_TEL_MAX_ARRAY_ENTRIES); i++)
			rte_tel_data_add_array_int(owners, b.shown_table[i].load(std::memory_order_relaxed));
		rte_tel_data_start_array(loads, RTE_TEL_INT_VAL); // floats do not exist in telemetry
		for (const auto &load : b.shown_loads)
			rte_tel_data_add_array_int(loads, int(load.load(std::memory_order_relaxed) * 1000));
		rte_tel_data_add_dict_container(d, "owners", owners, 0);
		rte_tel_data_add_dict_container(d, "loads_permille", loads, 0);
	});
	return found ? 0 : no_object;
}

int list_tables(const char *, const char *, rte_tel_data *d)
{
	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	each_table(
		[&](const char *name, const conntrack_table &) { rte_tel_data_add_array_string(d, name); });
	return 0;
}

int table_stats(const char *, const char *params, rte_tel_data *d)
{
	const bool any = params == nullptr || *params == 0;
	bool found = false;
	each_table([&](const char *name, const conntrack_table &table) {
		if (found || (!any && std::strcmp(name, params) != 0))
			return;
		found = true;
		conntrack_stats s;
		conntrack_get_stats(&table, &s);
		const auto add = [&](const char *field, uint64_t value) {
			rte_tel_data_add_dict_u64(d, field, value);
		};
		rte_tel_data_start_dict(d);
		rte_tel_data_add_dict_string(d, "name", name);
		add("flows", s.flows);
		add("slots", s.slots);
		add("bytes", s.bytes);
		add("inserted", s.inserted);
		add("removed", s.removed);
		add("expired", s.expired);
		add("evicted", s.evicted);
		add("refused", s.refused);
		add("not_owned", s.not_owned);
		add("away", s.away);
		add("spilled", s.spilled);
		add("moved", s.moved);
		add("growing", s.growing);
	});
	return found ? 0 : no_object;
}

} // namespace

extern "C" int reframer_dpdk_telemetry(void)
{
	static const int error = [] {
		constexpr struct {
			const char *name;
			telemetry_cb command;
			const char *help;
		} commands[] = {
			{"/reframer/list", list_queues, "RX queues with Reframer. No parameter"},
			{"/reframer/stats", queue_stats,
		     "Counters of a queue. Parameter: PORT,QUEUE; without, the first"},
			{"/reframer/histogram", queue_histogram,
		     "Hold times of a queue. Parameter: PORT,QUEUE; without, the first"},
			{"/rsspp/list", list_balancers, "Ports with an RSS++ balancer. No parameter"},
			{"/rsspp/table", balancer_table,
		     "Table and loads of a port. Parameter: PORT; without, the first"},
			{"/conntrack/list", list_tables, "Flow tables shown. No parameter"},
			{"/conntrack/stats", table_stats,
		     "Counters of a flow table. Parameter: NAME; without, the first"},
		};
		for (const auto &c : commands)
			if (const int result = rte_telemetry_register_cmd(c.name, c.command, c.help);
			    result != 0)
				return result;
		return 0;
	}();
	return error;
}
