#include "dpdk/balancer.hpp"

#include "api/sized.hpp"
#include "api/why.hpp"
#include "dpdk/counter.hpp"
#include "dpdk/registry.hpp"
#include "dpdk/table.hpp"

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_service_component.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

using namespace reframer;
using dpdk::add;

namespace {

uint64_t cycles_of(double us)
{
	return uint64_t(us * 1e-6 * double(rte_get_tsc_hz()));
}

int32_t run_service(void *argument)
{
	auto *b = static_cast<rsspp_dpdk_balancer *>(argument);
	if (rte_rdtsc() - b->sampled_at < b->interval_cycles)
		return 0;
	b->epoch(nullptr); // a write that was refused is asked for again in the next epoch
	return 0;
}

} // namespace

rsspp_dpdk_balancer::~rsspp_dpdk_balancer()
{
	rsspp_balancer_free(balancer);
}

void rsspp_dpdk_balancer::counters(std::vector<uint64_t> &sums) const
{
	std::fill(sums.begin(), sums.end(), 0);
	for (const auto &queue : queues)
		for (uint32_t i = 0; i < nb_buckets; i++)
			sums[i] += queue->packets[i].load(std::memory_order_relaxed);
}

int rsspp_dpdk_balancer::epoch(rsspp_report *report)
{
	counters(packets);
	const uint64_t now = rte_rdtsc();
	const double all = double(std::max<uint64_t>(1, now - sampled_at));
	sampled_at = now;
	for (size_t c = 0; c < queues.size(); c++) {
		const uint64_t useful = queues[c]->useful.load(std::memory_order_relaxed);
		loads[c] = std::min(1.0f, float(double(useful - queues[c]->sampled_useful) / all));
		queues[c]->sampled_useful = useful;
		shown_loads[c].store(loads[c], std::memory_order_relaxed);
	}
	rsspp_report unused;
	if (report == nullptr)
		report = &unused;
	const rsspp_epoch input = {packets.data(), loads.data(), nullptr, nullptr};
	const int nb_moves = rsspp_balancer_step(balancer, &input, moves.data(), report);
	interval_cycles = cycles_of(report->next_epoch_us);
	add(epochs, 1);
	if (nb_moves <= 0)
		return nb_moves;
	const uint16_t *decided = rsspp_balancer_table(balancer);
	std::copy(decided, decided + nb_buckets, wanted.begin());
	int error = rsspp_dpdk_table_write(table, wanted.data(), nullptr);
	// What the port kept otherwise did not move.
	uint32_t nb_refused = 0;
	if (error != 0) {
		const int read_error = rsspp_dpdk_table_read(table, wanted.data());
		for (int i = 0; i < nb_moves; i++)
			if (read_error != 0 || wanted[moves[i].bucket] != moves[i].to)
				std::swap(moves[nb_refused++], moves[i]);
		rsspp_balancer_reject(balancer, moves.data(), nb_refused);
		add(refused, nb_refused);
	}
	for (uint32_t i = 0; i < nb_buckets; i++)
		shown_table[i].store(rsspp_balancer_table(balancer)[i], std::memory_order_relaxed);
	add(moved, uint32_t(nb_moves) - nb_refused);
	return error != 0 ? error : nb_moves;
}

namespace {

rsspp_dpdk_balancer_params default_balancer()
{
	rsspp_dpdk_balancer_params params = {};
	params.size = sizeof(params);
	params.interval_ns = 100'000'000;
	rsspp_balancer_default_params(&params.balancer);
	params.balancer.busy_interval_us = params.balancer.interval_us;
	return params;
}

// The parameters of a caller of any version, checked, over the defaults. The balancer's stand last, and
// have a size of their own.
bool take_params(const rsspp_dpdk_balancer_params *given, rsspp_dpdk_balancer_params &full,
                 api::Why &why)
{
	if (!why.given("params", given))
		return false;
	full = default_balancer();
	constexpr size_t own = offsetof(rsspp_dpdk_balancer_params, balancer);
	if (given->size < own + sizeof(size_t) || given->size > api::most_bytes)
		return why.size(given->size, sizeof(full));
	std::memcpy(static_cast<void *>(&full), given, own);
	full.size = sizeof(full);
	if (!api::read_params(given->balancer, full.balancer))
		return why.size(given->balancer.size, sizeof(full.balancer));
	if (!why.within("interval_ns", full.interval_ns, 1000, 3600ull * 1'000'000'000))
		return false;
	// As it will be: these come from elsewhere.
	rsspp_balancer_params inner = full.balancer;
	inner.nb_buckets = RSSPP_MAX_BUCKETS;
	inner.nb_cores = RSSPP_MAX_CORES;
	inner.interval_us = uint32_t(full.interval_ns / 1000);
	inner.busy_interval_us = std::min(inner.busy_interval_us, inner.interval_us);
	char text[256];
	if (rsspp_balancer_check(&inner, text, sizeof(text)) != 0)
		return why.no("balancer.%s", text);
	return true;
}

} // namespace

extern "C" {

void rsspp_dpdk_balancer_params_init(struct rsspp_dpdk_balancer_params *params, size_t size,
                                     size_t balancer_size)
{
	if (params == nullptr)
		return;
	rsspp_dpdk_balancer_params full = default_balancer();
	full.size = size;
	full.balancer.size = balancer_size;
	api::write_sized(params, size, full);
}

int rsspp_dpdk_balancer_check(const struct rsspp_dpdk_balancer_params *params, char *why, size_t n)
{
	api::Why reason(why, n);
	rsspp_dpdk_balancer_params full;
	return api::result(take_params(params, full, reason));
}

int rsspp_dpdk_balancer_create(struct rsspp_dpdk_table *table,
                               const struct rsspp_dpdk_balancer_params *given,
                               struct rsspp_dpdk_balancer **out)
try {
	rsspp_dpdk_balancer_params params;
	api::Why why;
	if (table == nullptr || out == nullptr || !take_params(given, params, why))
		return -EINVAL;
	auto b = std::make_unique<rsspp_dpdk_balancer>();
	b->table = table;
	b->nb_buckets = rsspp_dpdk_table_size(table);
	if (!std::has_single_bit(b->nb_buckets))
		return -EINVAL;
	rsspp_balancer_params inner = params.balancer;
	inner.nb_buckets = b->nb_buckets;
	inner.nb_cores = table->nb_queues;
	inner.interval_us = uint32_t(std::max<uint64_t>(1, params.interval_ns / 1000));
	inner.busy_interval_us = std::min(inner.busy_interval_us, inner.interval_us);
	if (const int error = rsspp_balancer_create(&inner, &b->balancer); error != 0)
		return error;
	b->packets.resize(b->nb_buckets);
	b->loads.resize(table->nb_queues);
	b->wanted.resize(b->nb_buckets);
	b->moves.resize(b->nb_buckets);
	b->shown_table = std::vector<std::atomic<uint16_t>>(b->nb_buckets);
	b->shown_loads = std::vector<std::atomic<float>>(table->nb_queues);
	for (uint32_t q = 0; q < table->nb_queues; q++)
		b->queues.push_back(std::make_unique<rsspp_dpdk_queue>(b->nb_buckets));
	if (const int error = rsspp_dpdk_table_read(table, b->wanted.data()); error != 0)
		return error;
	if (const int error = rsspp_balancer_set_table(b->balancer, b->wanted.data()); error != 0)
		return error;
	for (uint32_t i = 0; i < b->nb_buckets; i++)
		b->shown_table[i].store(b->wanted[i], std::memory_order_relaxed);
	b->interval_cycles = cycles_of(inner.interval_us);
	b->sampled_at = rte_rdtsc();
	reframer::dpdk::Registry<rsspp_dpdk_balancer>::add(b.get());
	*out = b.release();
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

void rsspp_dpdk_balancer_free(struct rsspp_dpdk_balancer *b)
{
	if (b == nullptr)
		return;
	reframer::dpdk::Registry<rsspp_dpdk_balancer>::remove(b);
	delete b;
}

struct rsspp_dpdk_queue *rsspp_dpdk_balancer_queue(struct rsspp_dpdk_balancer *b, uint16_t queue)
{
	return queue < b->queues.size() ? b->queues[queue].get() : nullptr;
}

uint16_t rsspp_dpdk_rx_callback(uint16_t, uint16_t, struct rte_mbuf **packets, uint16_t nb,
                                uint16_t, void *argument)
{
	auto *queue = static_cast<rsspp_dpdk_queue *>(argument);
	const uint64_t now = rte_rdtsc();
	if (queue->last_found)
		add(queue->useful, now - queue->last_poll);
	queue->last_poll = now;
	queue->last_found = nb > 0;
	uint32_t unhashed = 0;
	for (uint16_t i = 0; i < nb; i++) {
		if (packets[i]->ol_flags & RTE_MBUF_F_RX_RSS_HASH) [[likely]]
			add(queue->packets[packets[i]->hash.rss & queue->mask], 1);
		else
			unhashed++;
	}
	if (unhashed)
		add(queue->without_hash, unhashed);
	return nb;
}

int rsspp_dpdk_balancer_epoch_sized(struct rsspp_dpdk_balancer *b, struct rsspp_report *report,
                                    size_t report_size)
{
	if (b == nullptr)
		return -EINVAL;
	rsspp_report full;
	const int moves = b->epoch(&full);
	if (report != nullptr)
		api::write_sized(report, report_size, full);
	return moves;
}

int rsspp_dpdk_service_register(struct rsspp_dpdk_balancer *b, uint32_t *service)
{
	if (b == nullptr || service == nullptr || b->service != UINT32_MAX)
		return -EINVAL;
	rte_service_spec spec = {};
	std::snprintf(spec.name, sizeof(spec.name), "rsspp-%u", b->table->port);
	spec.callback = run_service;
	spec.callback_userdata = b;
	if (const int error = rte_service_component_register(&spec, service); error != 0)
		return error;
	b->service = *service;
	return rte_service_component_runstate_set(*service, 1);
}

int rsspp_dpdk_service_unregister(struct rsspp_dpdk_balancer *b)
{
	if (b == nullptr || b->service == UINT32_MAX)
		return -EINVAL;
	rte_service_component_runstate_set(b->service, 0);
	const int error = rte_service_component_unregister(b->service);
	if (error == 0)
		b->service = UINT32_MAX;
	return error;
}

// The name of before is the same function.
uint16_t rsspp_rx_callback(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t nb,
                           uint16_t room, void *rsspp_queue)
	__attribute__((alias("rsspp_dpdk_rx_callback")));

} // extern "C"
