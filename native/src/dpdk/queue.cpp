#include "dpdk/queue.hpp"

#include "dpdk/counter.hpp"
#include "reframer/passed.hpp"

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

using namespace reframer;
using dpdk::add;

namespace {

// May the NIC's hash stand for the key? Only if it is on, and covers ports.
bool port_hashes(uint16_t port)
{
	rte_eth_conf conf;
	if (rte_eth_dev_conf_get(port, &conf) != 0 ||
	    !(conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH))
		return false;
	constexpr uint64_t ports = RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
	return (conf.rx_adv_conf.rss_conf.rss_hf & ports) == ports;
}

} // namespace

int reframer_dpdk_queue::init(uint16_t port_id, uint16_t queue_id,
                              const reframer_dpdk_params &params)
{
	port = port_id;
	queue = queue_id;
	stage_params = params.stage;
	if (params.pool) {
		const uint32_t most = params.pool->size / (2 * std::max(1u, params.nb_pool_users));
		stage_params.max_packets = std::max(32u, std::min(stage_params.max_packets, most));
	}
	// Known here, so that a hash computed here is the one that the stage would compute.
	if (stage_params.hash_seed == 0 &&
	    getrandom(&stage_params.hash_seed, sizeof(uint64_t), 0) != sizeof(uint64_t))
		return -errno;
	const bool five_tuple = stage_params.key == REFRAMER_KEY_5TUPLE;
	nic_hash = params.hash == REFRAMER_DPDK_HASH_NIC ||
	           (params.hash == REFRAMER_DPDK_HASH_AUTO && five_tuple && port_hashes(port));
	plain = !stage_params.bypass && !stage_params.early && !stage_params.options &&
	        !stage_params.nb_rules;
	thins = stage_params.options & REFRAMER_OPT_ACK_THINNING;
	adapts = stage_params.policy == REFRAMER_ADAPTIVE;
	key = packet::KeyKind(stage_params.key);
	link = packet::LinkType(stage_params.link_type);
	if (plain)
		stage_params.lookahead = 0; // headers are read here, or copied: see push_headers()
	last_poll = clock.now();
	rte_eth_rxq_info info;
	if (adapts && rte_eth_rx_queue_info_get(port, queue, &info) == 0)
		ring_size = info.nb_desc;
	const int error = reframer_create(&stage_params, &stage);
	stage_params.rules = nullptr; // the caller's memory; the stage has a copy
	return error;
}

reframer_dpdk_queue::~reframer_dpdk_queue()
{
	if (stage)
		free_held();
	reframer_free(stage);
}

void reframer_dpdk_queue::free_thinned()
{
	void *thinned[chunk];
	while (const uint32_t n = reframer_take_thinned(stage, thinned, chunk))
		rte_pktmbuf_free_bulk(reinterpret_cast<rte_mbuf **>(thinned), n);
}

// All of the burst, always. What the stage holds when a call begins is at most max_packets, since a
// call that leaves packets due has filled its array; the slots beyond that take this burst, or what
// is due makes room in the part of the array that is consumed, and only there.
void reframer_dpdk_queue::push(const reframer_burst &burst, uint64_t now, Output &out,
                               rte_mbuf **consumed)
{
	reframer_burst rest = burst;
	for (;;) {
		const uint32_t n = reframer_push(stage, &rest, now);
		if (thins) [[unlikely]]
			free_thinned();
		if (n == rest.count) [[likely]]
			return;
		rest.packets += n;
		if (rest.data) {
			rest.data += n;
			rest.captured += n;
		}
		rest.wire += n;
		if (rest.hash)
			rest.hash += n;
		rest.count -= n;
		consumed += n;
		give(now, uint32_t(consumed - out.packets), out);
	}
}

void reframer_dpdk_queue::give(uint64_t now, uint32_t room, Output &out, bool all)
{
	reframer_run spare[chunk]; // of bursts with more runs than are kept
	while (out.given < room) {
		const bool kept = nb_runs < REFRAMER_DPDK_MAX_RUNS;
		reframer_run *const list = kept ? runs + nb_runs : spare;
		const uint32_t list_room = kept ? REFRAMER_DPDK_MAX_RUNS - nb_runs : chunk;
		uint32_t written = list_room;
		void **const to = reinterpret_cast<void **>(out.packets + out.given);
		const uint32_t n = all ? reframer_drain(stage, now, to, room - out.given, list, &written)
		                       : reframer_poll(stage, now, to, room - out.given, list, &written);
		if (kept) {
			for (uint32_t i = 0; out.given && i < written; i++)
				list[i].first += out.given;
			nb_runs += written;
		}
		out.given += n;
		if (n == 0 || written < list_room)
			break;
	}
}

void reframer_dpdk_queue::account(uint16_t nb, uint64_t now)
{
	const uint64_t since = now > last_poll ? now - last_poll : 0;
	total += since;
	if (last_worked)
		busy += since;
	last_poll = now;
	polled += nb;
	if (total < report_ns)
		return;
	reframer_load load = {};
	// Not every driver can tell; busy time speaks for itself then.
	const int waiting = ring_size ? rte_eth_rx_queue_count(port, queue) : -1;
	if (waiting >= 0) {
		load.queue_length = uint32_t(waiting);
		load.queue_capacity = ring_size;
	}
	load.busy_cycles = busy;
	load.total_cycles = total;
	load.packets = polled;
	reframer_report_load(stage, &load);
	busy = total = polled = 0;
	count_left_out(now);
	passing = reframer_passes(stage);
}

void reframer_dpdk_queue::count_left_out(uint64_t now_ns)
{
	if (left_out.packets == 0)
		return;
	stage::pass(stage, left_out, now_ns);
	leave_counted({});
}

// Others read these three while they are written.
void reframer_dpdk_queue::leave_counted(const stage::Passed &all)
{
	dpdk::write_shared(left_out.packets, all.packets);
	dpdk::write_shared(left_out.changes, all.changes);
	dpdk::write_shared(left_out.bytes, all.bytes);
	left_out.first = all.first;
	left_out.last = all.last;
}

// The stage would only pass the burst on: it stays where it is, and no header is touched.
void reframer_dpdk_queue::leave_out(rte_mbuf *const *packets, uint32_t nb)
{
	const auto length = [=](uint32_t i) { return packets[i]->pkt_len; };
	const auto hash = [=](uint32_t i) { return packets[i]->hash.rss; };
	stage::Passed all = left_out;
	all.append(nic_hash ? stage::count_passed<true>(nb, length, hash)
	                    : stage::count_passed<false>(nb, length, hash));
	leave_counted(all);
}

uint16_t reframer_dpdk_queue::pass(rte_mbuf **packets, uint16_t nb, uint16_t room, uint64_t now)
{
	Output out = {packets, room};
	nb_runs = 0;
	add(polls, 1);
	if (nb == 0)
		add(empty_polls, 1);
	if (adapts) {
		account(nb, now);
		if (passing && nb <= room) {
			leave_out(packets, nb);
			last_worked = nb > 0;
			return nb;
		}
		count_left_out(now);
	}
	if (nb > 0)
		take(packets, nb, now, out);
	give(now, room, out);
	last_worked = nb > 0 || out.given > 0;
	passing = adapts && reframer_passes(stage);
	return uint16_t(out.given);
}

uint32_t reframer_dpdk_queue::drain(rte_mbuf **packets, uint32_t room)
{
	Output out = {packets, room};
	nb_runs = 0;
	count_left_out(now());
	give(now(), room, out, true);
	return out.given;
}

uint32_t reframer_dpdk_queue::free_held()
{
	rte_mbuf *packets[chunk];
	uint32_t total = 0;
	while (const uint32_t n = drain(packets, chunk)) {
		rte_pktmbuf_free_bulk(packets, n);
		total += n;
	}
	if (thins)
		free_thinned();
	add(freed, total);
	return total;
}

void reframer_dpdk_queue::stats(reframer_dpdk_stats &out) const
{
	out = {};
	out.port = port;
	out.queue = queue;
	out.nic_hash = nic_hash;
	out.max_packets = stage_params.max_packets;
	out.polls = polls.load(std::memory_order_relaxed);
	out.empty_polls = empty_polls.load(std::memory_order_relaxed);
	out.without_hash = without_hash.load(std::memory_order_relaxed);
	out.in_pieces = in_pieces.load(std::memory_order_relaxed);
	out.freed = freed.load(std::memory_order_relaxed);
	reframer_get_stats(stage, &out.stage);
	if (const uint32_t more = dpdk::read_shared(left_out.packets); more > 0) {
		const uint64_t runs = dpdk::read_shared(left_out.changes) + 1;
		const uint64_t bytes = dpdk::read_shared(left_out.bytes);
		out.stage.packets_in += more;
		out.stage.packets_out += more;
		out.stage.passed += more;
		out.stage.bytes_in += bytes;
		out.stage.bytes_out += bytes;
		out.stage.runs_in += runs;
		out.stage.runs_out += runs;
		out.stage.released[REFRAMER_BY_DEADLINE] += runs;
	}
	out.stage.unparsed += unparsed.load(std::memory_order_relaxed);
}
