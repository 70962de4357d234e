// Telemetry commands. They only read, on telemetry's own thread.
#include "dpdk/balancer.hpp"
#include "dpdk/queue.hpp"
#include "dpdk/registry.hpp"
#include "dpdk/table.hpp"
#include "reframer/hold_times.hpp"

#include <rte_telemetry.h>
#include <rte_version.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace reframer::dpdk;

namespace {

// Whole numbers, under the names that DPDK has for it since 23.03, and had before.
void add_number(rte_tel_data *dict, const char *name, uint64_t value)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	rte_tel_data_add_dict_uint(dict, name, value);
#else
	rte_tel_data_add_dict_u64(dict, name, value);
#endif
}

void add_number(rte_tel_data *array, uint64_t value)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	rte_tel_data_add_array_uint(array, value);
#else
	rte_tel_data_add_array_u64(array, value);
#endif
}

// Telemetry hands all errors on as an empty answer; a command without its object says so by -ENOENT.
constexpr int no_object = -ENOENT;

// Released by reason, in the order of enum reframer_reason.
constexpr const char *reasons[] = {"released_by_deadline", "released_by_early",
                                   "released_by_bypass",   "released_by_burst",
                                   "released_by_capacity", "released_by_drain"};
static_assert(std::size(reasons) == REFRAMER_NB_REASONS);

// Counters under the names that the program has for them: the last of "s.stage.packets_in".
template <typename... T>
void add_named(rte_tel_data *d, std::string_view expressions, const T &...values)
{
	const auto add = [&](uint64_t value) {
		const size_t end = std::min(expressions.find(','), expressions.size());
		const std::string_view one = expressions.substr(0, end);
		const std::string name(one.substr(one.find_last_of(" .") + 1));
		add_number(d, name.c_str(), value);
		expressions.remove_prefix(std::min(end + 1, expressions.size()));
	};
	(add(uint64_t(values)), ...);
}
#define ADD_NAMED(d, ...) add_named(d, #__VA_ARGS__, __VA_ARGS__)

// The first object that the parameters name; nothing names the first there is.
template <typename T, typename Is, typename Work> int with_first(Is is, Work work)
{
	bool found = false;
	Registry<T>::each([&](const T &object) {
		if (found || !is(object))
			return;
		found = true;
		work(object);
	});
	return found ? 0 : no_object;
}

// An array of a dictionary, which has to be had before it is begun.
rte_tel_data *new_array(rte_tel_value_type type)
{
	rte_tel_data *array = rte_tel_data_alloc();
	if (array)
		rte_tel_data_start_array(array, type);
	return array;
}

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
	return with_first<reframer_dpdk_queue>(
		[&](const auto &q) {
			return where.all || (q.port == where.port && q.queue == where.queue);
		},
		work);
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
		rte_tel_data_start_dict(d);
		ADD_NAMED(d, s.port, s.queue, s.nic_hash, s.polls, s.empty_polls, s.stage.packets_in,
		          s.stage.packets_out, s.stage.packets_thinned, s.stage.packets_held,
		          s.stage.packets_held_max, s.max_packets, s.stage.bytes_in, s.stage.bytes_out,
		          s.stage.bytes_held, s.stage.runs_in, s.stage.runs_out, s.stage.groups_held);
		for (uint32_t i = 0; i < REFRAMER_NB_REASONS; i++)
			add_number(d, reasons[i], s.stage.released[i]);
		const uint64_t hold_p50_ns = holds.quantile(0.5), hold_p99_ns = holds.quantile(0.99);
		ADD_NAMED(d, s.stage.bypassed, s.stage.repaired, s.stage.unparsed, s.without_hash,
		          s.in_pieces, s.freed, s.stage.delay_ns, s.stage.hold_max_ns, hold_p50_ns,
		          hold_p99_ns);
	});
}

int queue_histogram(const char *, const char *params, rte_tel_data *d)
{
	return with_queue(params, [&](const reframer_dpdk_queue &queue) {
		reframer::stage::HoldTimes holds;
		holds.add(queue.stage);
		rte_tel_data *low = new_array(RTE_TEL_U64_VAL), *count = new_array(RTE_TEL_U64_VAL);
		rte_tel_data_start_dict(d);
		if (low == nullptr || count == nullptr) {
			rte_tel_data_free(low);
			rte_tel_data_free(count);
			return;
		}
		for (uint32_t b = 0; b < REFRAMER_HISTOGRAM_BUCKETS; b++) {
			if (holds.packets[b] == 0)
				continue;
			add_number(low, reframer_histogram_low_ns(b));
			add_number(count, holds.packets[b]);
		}
		rte_tel_data_add_dict_container(d, "low_ns", low, 0);
		rte_tel_data_add_dict_container(d, "packets", count, 0);
	});
}

int list_balancers(const char *, const char *, rte_tel_data *d)
{
	rte_tel_data_start_array(d, RTE_TEL_U64_VAL);
	Registry<rsspp_dpdk_balancer>::each(
		[&](const rsspp_dpdk_balancer &b) { add_number(d, b.table->port); });
	return 0;
}

int balancer_table(const char *, const char *params, rte_tel_data *d)
{
	Where where;
	if (!where.parse(params))
		return -EINVAL;
	const auto is = [&](const auto &b) { return where.all || b.table->port == where.port; };
	return with_first<rsspp_dpdk_balancer>(is, [&](const rsspp_dpdk_balancer &b) {
		rte_tel_data_start_dict(d);
		add_number(d, "port", b.table->port);
		add_number(d, "epochs", b.epochs.load(std::memory_order_relaxed));
		add_number(d, "moves", b.moved.load(std::memory_order_relaxed));
		add_number(d, "refused", b.refused.load(std::memory_order_relaxed));
		rte_tel_data *owners = new_array(RTE_TEL_INT_VAL), *loads = new_array(RTE_TEL_INT_VAL);
		if (owners == nullptr || loads == nullptr) {
			rte_tel_data_free(owners);
			rte_tel_data_free(loads);
			return;
		}
		for (uint32_t i = 0; i < std::min<uint32_t>(b.nb_buckets, RTE_TEL_MAX_ARRAY_ENTRIES); i++)
			rte_tel_data_add_array_int(owners, b.shown_table[i].load(std::memory_order_relaxed));
		for (const auto &load : b.shown_loads) // floats do not exist in telemetry
			rte_tel_data_add_array_int(loads, int(load.load(std::memory_order_relaxed) * 1000));
		rte_tel_data_add_dict_container(d, "owners", owners, 0);
		rte_tel_data_add_dict_container(d, "loads_permille", loads, 0);
	});
}

int list_tables(const char *, const char *, rte_tel_data *d)
{
	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	Registry<ShownTable>::each(
		[&](const ShownTable &shown) { rte_tel_data_add_array_string(d, shown.name.c_str()); });
	return 0;
}

int table_stats(const char *, const char *params, rte_tel_data *d)
{
	const bool any = params == nullptr || *params == 0;
	const auto is = [&](const ShownTable &shown) { return any || shown.name == params; };
	return with_first<ShownTable>(is, [&](const ShownTable &shown) {
		conntrack_stats s;
		conntrack_get_stats(shown.table, &s);
		rte_tel_data_start_dict(d);
		rte_tel_data_add_dict_string(d, "name", shown.name.c_str());
		ADD_NAMED(d, s.flows, s.slots, s.bytes, s.inserted, s.removed, s.expired, s.evicted,
		          s.refused, s.not_owned, s.away, s.spilled, s.moved, s.growing);
	});
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
