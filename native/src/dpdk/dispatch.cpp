// An indirection table in software, for ports without one.
#include "api/sized.hpp"
#include "api/why.hpp"
#include "dpdk/counter.hpp"
#include "packet/flow_key.hpp"
#include "packet/parse.hpp"
#include "packet/toeplitz.hpp"
#include "reframer/dpdk.h"

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <rte_ring.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

using namespace reframer;

namespace {

constexpr uint32_t burst = 32;
constexpr uint32_t max_workers = 64;

std::atomic<uint32_t> instances{0}; // rings have names, which must differ within a process

} // namespace

struct rsspp_dpdk_dispatch {
	explicit rsspp_dpdk_dispatch(const rsspp_dpdk_dispatch_params &params)
		: mask(params.nb_entries - 1), nb_workers(params.nb_workers), table(params.nb_entries),
		  counters(params.nb_entries), dropped(params.nb_workers)
	{
		for (uint32_t i = 0; i < params.nb_entries; i++)
			table[i].store(uint16_t(i % nb_workers), std::memory_order_relaxed);
	}
	~rsspp_dpdk_dispatch()
	{
		for (rte_ring *ring : rings) {
			for (void *packet; rte_ring_sc_dequeue(ring, &packet) == 0;)
				rte_pktmbuf_free(static_cast<rte_mbuf *>(packet));
			rte_ring_free(ring);
		}
	}

	uint32_t hash_of(rte_mbuf *packet) const
	{
		if (packet->ol_flags & RTE_MBUF_F_RX_RSS_HASH)
			return packet->hash.rss;
		const uint8_t *data = rte_pktmbuf_mtod(packet, const uint8_t *);
		const packet::Frame frame = {data, packet->data_len,           packet->pkt_len,
		                             0,    packet::LinkType::ethernet, 0};
		packet->hash.rss = toeplitz(packet::rss_key_of(packet::parse(frame), data));
		packet->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
		return packet->hash.rss;
	}

	const uint32_t mask, nb_workers;
	const packet::Toeplitz toeplitz{packet::toeplitz_key_microsoft};
	std::vector<std::atomic<uint16_t>> table;
	std::vector<rte_ring *> rings;
	// Odd while a burst is under way. Sequentially consistent with the table: either the burst sees
	// the new entries, or the writer sees the burst.
	alignas(64) std::atomic<uint64_t> bursts{0};
	std::vector<std::atomic<uint64_t>> counters; // one writer: the dispatching core
	std::vector<std::atomic<uint64_t>> dropped;
	rte_mbuf *staged[max_workers][burst];
	uint32_t nb_staged[max_workers] = {};
};

namespace {

constexpr rsspp_dpdk_dispatch_params default_dispatch = {sizeof(rsspp_dpdk_dispatch_params), 512, 1,
                                                         4096, -1};
constexpr uint32_t largest_ring = 1u << 30; // what rte_ring takes

// The parameters of a caller of any version, checked, over the defaults.
bool take_params(const rsspp_dpdk_dispatch_params *given, rsspp_dpdk_dispatch_params &full,
                 api::Why &why)
{
	if (!why.given("params", given))
		return false;
	full = default_dispatch;
	if (!api::read_params(*given, full))
		return why.size(given->size, sizeof(full));
	return why.power_of_two("nb_entries", full.nb_entries, 64, 4096) &&
	       why.within("nb_workers", full.nb_workers, 1, max_workers) &&
	       why.power_of_two("ring_size", full.ring_size, burst, largest_ring);
}

} // namespace

extern "C" void rsspp_dpdk_dispatch_params_init(rsspp_dpdk_dispatch_params *params, size_t size)
{
	if (params == nullptr)
		return;
	rsspp_dpdk_dispatch_params full = default_dispatch;
	full.size = size;
	api::write_sized(params, size, full);
}

extern "C" int rsspp_dpdk_dispatch_check(const rsspp_dpdk_dispatch_params *params, char *why,
                                         size_t n)
{
	api::Why reason(why, n);
	rsspp_dpdk_dispatch_params full;
	return api::result(take_params(params, full, reason));
}

extern "C" int rsspp_dpdk_dispatch_create(const rsspp_dpdk_dispatch_params *given,
                                          rsspp_dpdk_dispatch **out)
try {
	rsspp_dpdk_dispatch_params params;
	api::Why why;
	if (out == nullptr || !take_params(given, params, why))
		return -EINVAL;
	auto dispatch = std::make_unique<rsspp_dpdk_dispatch>(params);
	const uint32_t instance = instances.fetch_add(1, std::memory_order_relaxed);
	for (uint32_t w = 0; w < params.nb_workers; w++) {
		char name[RTE_RING_NAMESIZE];
		std::snprintf(name, sizeof(name), "rsspp_%u_%u", instance, w);
		rte_ring *ring = rte_ring_create(name, params.ring_size, params.socket,
		                                 RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
		if (ring == nullptr)
			return rte_errno != 0 ? -rte_errno : -ENOMEM;
		dispatch->rings.push_back(ring);
	}
	*out = dispatch.release();
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

extern "C" void rsspp_dpdk_dispatch_free(rsspp_dpdk_dispatch *dispatch)
{
	delete dispatch;
}

extern "C" uint32_t rsspp_dpdk_dispatch_burst(rsspp_dpdk_dispatch *d, rte_mbuf **packets,
                                              uint32_t nb)
{
	uint32_t nb_reached = 0;
	for (uint32_t at = 0; at < nb; at += burst) {
		const uint32_t end = at + burst < nb ? at + burst : nb;
		d->bursts.fetch_add(1, std::memory_order_seq_cst);
		for (uint32_t i = at; i < end; i++) {
			const uint32_t bucket = d->hash_of(packets[i]) & d->mask;
			dpdk::add(d->counters[bucket], 1);
			const uint32_t worker = d->table[bucket].load(std::memory_order_seq_cst);
			d->staged[worker][d->nb_staged[worker]++] = packets[i];
		}
		for (uint32_t w = 0; w < d->nb_workers; w++) {
			const uint32_t count = d->nb_staged[w];
			if (count == 0)
				continue;
			const uint32_t n = rte_ring_sp_enqueue_burst(
				d->rings[w], reinterpret_cast<void **>(d->staged[w]), count, nullptr);
			nb_reached += n;
			if (n < count) {
				rte_pktmbuf_free_bulk(d->staged[w] + n, count - n);
				dpdk::add(d->dropped[w], count - n);
			}
			d->nb_staged[w] = 0;
		}
		d->bursts.fetch_add(1, std::memory_order_release);
	}
	return nb_reached;
}

extern "C" uint32_t rsspp_dpdk_dispatch_receive(rsspp_dpdk_dispatch *d, uint32_t worker,
                                                rte_mbuf **packets, uint32_t room)
{
	return rte_ring_sc_dequeue_burst(d->rings[worker], reinterpret_cast<void **>(packets), room,
	                                 nullptr);
}

extern "C" uint32_t rsspp_dpdk_dispatch_waiting(const rsspp_dpdk_dispatch *d, uint32_t worker)
{
	return rte_ring_count(d->rings[worker]);
}

extern "C" int rsspp_dpdk_dispatch_read(const rsspp_dpdk_dispatch *d, uint16_t *workers)
{
	for (uint32_t i = 0; i <= d->mask; i++)
		workers[i] = d->table[i].load(std::memory_order_relaxed);
	return 0;
}

extern "C" int rsspp_dpdk_dispatch_write(rsspp_dpdk_dispatch *d, const uint16_t *workers)
{
	for (uint32_t i = 0; i <= d->mask; i++)
		if (workers[i] >= d->nb_workers)
			return -EINVAL;
	for (uint32_t i = 0; i <= d->mask; i++)
		if (d->table[i].load(std::memory_order_relaxed) != workers[i])
			d->table[i].store(workers[i], std::memory_order_seq_cst);
	const uint64_t seen = d->bursts.load(std::memory_order_seq_cst);
	if (seen & 1)
		while (d->bursts.load(std::memory_order_acquire) == seen)
			rte_pause();
	return 0;
}

extern "C" void rsspp_dpdk_dispatch_counters(const rsspp_dpdk_dispatch *d, uint64_t *packets)
{
	for (uint32_t i = 0; i <= d->mask; i++)
		packets[i] = d->counters[i].load(std::memory_order_relaxed);
}

extern "C" uint64_t rsspp_dpdk_dispatch_dropped(const rsspp_dpdk_dispatch *d, uint32_t worker)
{
	return d->dropped[worker].load(std::memory_order_relaxed);
}
