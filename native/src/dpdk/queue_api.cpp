// Reframer on an RX queue: the functions of dpdk.h.
#include "api/sized.hpp"
#include "api/why.hpp"
#include "dpdk/receive.hpp"
#include "dpdk/registry.hpp"
#include "reframer/stats_0_1.hpp"

#include <rte_ethdev.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

using namespace reframer;

namespace {

reframer_dpdk_params default_queue()
{
	reframer_dpdk_params params = {};
	params.size = sizeof(params);
	params.hash = REFRAMER_DPDK_HASH_AUTO;
	params.nb_pool_users = 1;
	reframer_default_params(&params.stage);
	return params;
}

// The parameters of a caller of any version, checked, over the defaults; NULL: the defaults. The
// stage's stand last, and have a size of their own.
bool take_params(const reframer_dpdk_params *given, reframer_dpdk_params &full, api::Why &why)
{
	full = default_queue();
	if (given == nullptr)
		return true;
	constexpr size_t own = offsetof(reframer_dpdk_params, stage);
	if (given->size < own + sizeof(size_t) || given->size > api::most_bytes)
		return why.size(given->size, sizeof(full));
	std::memcpy(static_cast<void *>(&full), given, own);
	full.size = sizeof(full);
	if (!api::read_params(given->stage, full.stage))
		return why.size(given->stage.size, sizeof(full.stage));
	char text[256];
	if (reframer_check(&full.stage, text, sizeof(text)) != 0)
		return why.no("stage.%s", text);
	return why.within("hash", full.hash, 0, REFRAMER_DPDK_HASH_NIC) &&
	       why.within("nb_pool_users", full.nb_pool_users, 1, UINT32_MAX);
}

} // namespace

extern "C" {

void reframer_dpdk_params_init(struct reframer_dpdk_params *params, size_t size, size_t stage_size)
{
	if (params == nullptr)
		return;
	reframer_dpdk_params full = default_queue();
	full.size = size;
	full.stage.size = stage_size;
	api::write_sized(params, size, full);
}

int reframer_dpdk_check(const struct reframer_dpdk_params *params, char *why, size_t n)
{
	api::Why reason(why, n);
	reframer_dpdk_params full;
	return api::result(reason.given("params", params) && take_params(params, full, reason));
}

int reframer_dpdk_open(uint16_t port, uint16_t queue, const struct reframer_dpdk_params *given,
                       struct reframer_dpdk_queue **out)
{
	reframer_dpdk_params params;
	api::Why why;
	if (out == nullptr || !take_params(given, params, why))
		return -EINVAL;
	if (!rte_eth_dev_is_valid_port(port))
		return -ENODEV;
	auto *q = new (std::nothrow) reframer_dpdk_queue;
	if (q == nullptr)
		return -ENOMEM;
	const int error = q->init(port, queue, params);
	if (error != 0) {
		delete q;
		return error;
	}
	dpdk::Registry<reframer_dpdk_queue>::add(q);
	*out = q;
	return 0;
}

void reframer_dpdk_close(struct reframer_dpdk_queue *q)
{
	if (q == nullptr)
		return;
	dpdk::Registry<reframer_dpdk_queue>::remove(q);
	delete q;
}

uint16_t reframer_dpdk_rx_burst(struct reframer_dpdk_queue *q, struct rte_mbuf **packets,
                                uint16_t nb)
{
	return dpdk::receive(*q, packets, nb, [=](uint16_t most) {
		return rte_eth_rx_burst(q->port, q->queue, packets, most);
	});
}

uint16_t reframer_dpdk_rx_callback(uint16_t, uint16_t, struct rte_mbuf **packets, uint16_t nb,
                                   uint16_t room, void *q)
{
	return static_cast<reframer_dpdk_queue *>(q)->pass(packets, nb, room);
}

uint16_t reframer_dpdk_pass(struct reframer_dpdk_queue *q, struct rte_mbuf **packets, uint16_t nb,
                            uint16_t room, uint64_t now_ns)
{
	q->use_time(now_ns);
	return q->pass(packets, nb, room, now_ns);
}

uint32_t reframer_dpdk_runs(const struct reframer_dpdk_queue *q, const struct reframer_run **runs)
{
	*runs = q->runs;
	return q->nb_runs;
}

uint32_t reframer_dpdk_drain(struct reframer_dpdk_queue *q, struct rte_mbuf **packets, uint32_t nb)
{
	return q->drain(packets, nb);
}

uint32_t reframer_dpdk_free_held(struct reframer_dpdk_queue *q)
{
	return q->free_held();
}

struct reframer_stage *reframer_dpdk_stage(struct reframer_dpdk_queue *q)
{
	return q->stage;
}

void reframer_dpdk_stats_get(const struct reframer_dpdk_queue *q, struct reframer_dpdk_stats *out,
                             size_t size)
{
	if (out == nullptr)
		return;
	reframer_dpdk_stats full = {};
	if (q != nullptr)
		q->stats(full);
	constexpr size_t own = offsetof(reframer_dpdk_stats, stage);
	if (size != own + sizeof(reframer_stats_0_1))
		return api::write_sized(out, size, full);
	std::memcpy(static_cast<void *>(out), &full, own);
	stage::write_stats_0_1(q ? q->stage : nullptr, full.stage,
	                       reinterpret_cast<reframer_stats_0_1 *>(&out->stage));
}

// The names of before are the same functions.
uint16_t reframer_rx_burst(struct reframer_dpdk_queue *q, struct rte_mbuf **packets, uint16_t nb)
	__attribute__((alias("reframer_dpdk_rx_burst")));
uint16_t reframer_rx_callback(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t nb,
                              uint16_t room, void *q)
	__attribute__((alias("reframer_dpdk_rx_callback")));

} // extern "C"
