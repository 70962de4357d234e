#include "dpdk/queue.hpp"

#include "api/sized.hpp"
#include "api/why.hpp"
#include "dpdk/counter.hpp"
#include "dpdk/registry.hpp"
#include "reframer/stats_0_1.hpp"

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

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

bool reframer_dpdk_queue::is_in_pieces(const rte_mbuf *packet)
{
	return packet->nb_segs > 1 && packet->data_len < whole_header;
}

// Where no policy looks at headers, their hash is all that is wanted, and a loop over the burst
// computes it in less than the stage does between its other steps.
uint32_t reframer_dpdk_queue::hash_headers(rte_mbuf *const *packets, uint32_t nb, uint32_t *hash)
{
	using packet::KeyKind;
	for (uint32_t i = 0; i < nb; i++)
		__builtin_prefetch(rte_pktmbuf_mtod(packets[i], const uint8_t *));
	uint32_t traits = 0;
	const auto each = [&]<KeyKind kind>() {
		const uint64_t seed = stage_params.hash_seed;
		const packet::LinkType of = link;
		uint32_t nb_unparsed = 0;
		for (uint32_t i = 0; i < nb; i++) {
			const rte_mbuf *packet = packets[i];
			const packet::Digest digest = packet::classify<false>(
				rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len, of, kind, seed);
			hash[i] = digest.hash;
			nb_unparsed += digest.traits & packet::trait_unparsed;
			traits |= digest.traits;
		}
		if (nb_unparsed)
			add(unparsed, nb_unparsed);
	};
	switch (key) {
	case KeyKind::five_tuple:
		each.template operator()<KeyKind::five_tuple>();
		break;
	case KeyKind::symmetric:
		each.template operator()<KeyKind::symmetric>();
		break;
	case KeyKind::destination:
		each.template operator()<KeyKind::destination>();
		break;
	case KeyKind::inner:
		each.template operator()<KeyKind::inner>();
		break;
	}
	return traits;
}

// Headers that are spread over segments: the same hash as if they lay in one piece.
packet::Digest reframer_dpdk_queue::digest_in_pieces(const rte_mbuf *packet) const
{
	uint8_t copy[copied_header];
	const uint32_t length = std::min<uint32_t>(packet->pkt_len, sizeof(copy));
	const void *data = rte_pktmbuf_read(packet, 0, length, copy);
	return packet::classify<false>(static_cast<const uint8_t *>(data), data ? length : 0, link, key,
	                               stage_params.hash_seed);
}

// Once fragments have been seen: the stage looks at headers itself, as it knows which flow each
// belongs to. At once, see init(), so that copies last long enough.
void reframer_dpdk_queue::push_headers(rte_mbuf **packets, uint32_t nb, uint64_t now, Output &out,
                                       rte_mbuf **consumed)
{
	const uint8_t *data[chunk];
	uint32_t captured[chunk], wire[chunk];
	uint8_t copies[chunk][copied_header];
	for (uint32_t i = 0; i < nb; i++) {
		const rte_mbuf *packet = packets[i];
		wire[i] = packet->pkt_len;
		captured[i] = packet->data_len;
		data[i] = rte_pktmbuf_mtod(packet, const uint8_t *);
		if (!is_in_pieces(packet))
			continue;
		captured[i] = std::min<uint32_t>(packet->pkt_len, copied_header);
		data[i] = static_cast<const uint8_t *>(rte_pktmbuf_read(packet, 0, captured[i], copies[i]));
		if (!data[i]) {
			data[i] = copies[i];
			captured[i] = 0;
		}
	}
	push({reinterpret_cast<void **>(packets), data, captured, wire, nullptr, nb}, now, out,
	     consumed);
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

// No policy looks at headers: the stage gets hashes and lengths, and what lies behind an mbuf is read
// only where the NIC did not hash.
void reframer_dpdk_queue::take_plain(rte_mbuf **packets, uint32_t nb, uint64_t now, Output &out,
                                     rte_mbuf **consumed)
{
	uint32_t wire[chunk], hash[chunk];
	uint32_t nb_pieces = 0;
	if (nic_hash) {
		uint64_t hashed = RTE_MBUF_F_RX_RSS_HASH;
		for (uint32_t i = 0; i < nb; i++) {
			const rte_mbuf *packet = packets[i];
			wire[i] = packet->pkt_len;
			hash[i] = packet->hash.rss;
			hashed &= packet->ol_flags;
		}
		if (hashed == 0) [[unlikely]]
			hash_unhashed(packets, nb, hash);
	} else {
		for (uint32_t i = 0; i < nb; i++) {
			wire[i] = packets[i]->pkt_len;
			nb_pieces += is_in_pieces(packets[i]);
		}
		if (nb_pieces > 0) [[unlikely]]
			add(in_pieces, nb_pieces);
		if (fragments) [[unlikely]]
			return push_headers(packets, nb, now, out, consumed);
		uint32_t traits = hash_headers(packets, nb, hash);
		if (nb_pieces > 0) [[unlikely]]
			for (uint32_t i = 0; i < nb; i++)
				if (is_in_pieces(packets[i])) {
					const packet::Digest digest = digest_in_pieces(packets[i]);
					hash[i] = digest.hash;
					traits |= digest.traits;
				}
		if (traits & packet::trait_fragment) [[unlikely]] {
			// What is held was placed by hash, where the stage would not look: it leaves first.
			fragments = true;
			reframer_release_bucket(stage, 0, 0);
			return push_headers(packets, nb, now, out, consumed);
		}
	}
	push({reinterpret_cast<void **>(packets), nullptr, nullptr, wire, hash, nb}, now, out,
	     consumed);
}

// A NIC marks the kinds of packets that it hashes: a flow is of one kind. The others wait by a hash of
// ours.
void reframer_dpdk_queue::hash_unhashed(rte_mbuf *const *packets, uint32_t nb, uint32_t *hash)
{
	uint32_t nb_unhashed = 0;
	for (uint32_t i = 0; i < nb; i++)
		if (!(packets[i]->ol_flags & RTE_MBUF_F_RX_RSS_HASH)) {
			hash[i] = digest_in_pieces(packets[i]).hash;
			nb_unhashed++;
		}
	add(without_hash, nb_unhashed);
}

void reframer_dpdk_queue::take_chunk(rte_mbuf **packets, uint32_t nb, uint64_t now, Output &out,
                                     rte_mbuf **consumed)
{
	if (nb == 0 || nb > chunk)
		__builtin_unreachable(); // gcc takes the arrays for uninitialised otherwise
	if (plain) [[likely]]
		return take_plain(packets, nb, now, out, consumed);
	const uint8_t *data[chunk];
	uint32_t captured[chunk], wire[chunk], hash[chunk];
	uint32_t nb_pieces = 0;
	for (uint32_t i = 0; i < nb; i++) {
		const rte_mbuf *packet = packets[i];
		wire[i] = packet->pkt_len;
		captured[i] = packet->data_len;
		data[i] = rte_pktmbuf_mtod(packet, const uint8_t *);
		hash[i] = packet->hash.rss;
		__builtin_prefetch(data[i]);
		nb_pieces += is_in_pieces(packet);
	}
	if (nic_hash)
		hash_unhashed(packets, nb, hash);
	void **const held = reinterpret_cast<void **>(packets);
	if (nic_hash || nb_pieces == 0) [[likely]]
		return push({held, data, captured, wire, nic_hash ? hash : nullptr, nb}, now, out,
		            consumed);
	add(in_pieces, nb_pieces);
	for (uint32_t first = 0; first < nb;) {
		const bool pieces = is_in_pieces(packets[first]);
		uint32_t end = first;
		for (; end < nb && is_in_pieces(packets[end]) == pieces; end++)
			if (pieces)
				hash[end] = digest_in_pieces(packets[end]).hash;
		const reframer_burst part = {held + first,
		                             data + first,
		                             captured + first,
		                             wire + first,
		                             pieces ? hash + first : nullptr,
		                             end - first};
		push(part, now, out, consumed + first);
		first = end;
	}
}

void reframer_dpdk_queue::take(rte_mbuf **packets, uint32_t nb, uint64_t now, Output &out)
{
	for (uint32_t first = 0; first < nb; first += chunk)
		take_chunk(packets + first, std::min(chunk, nb - first), now, out, packets + first);
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
}

// The stage would only pass the burst on: it stays where it is, and no header is touched.
void reframer_dpdk_queue::leave_out(rte_mbuf *const *packets, uint32_t nb, uint64_t now)
{
	uint32_t wire[chunk], hash[chunk];
	for (uint32_t i = 0; i < nb; i++) {
		wire[i] = packets[i]->pkt_len;
		hash[i] = packets[i]->hash.rss;
	}
	const reframer_burst burst = {nullptr, nullptr, nullptr, wire, nic_hash ? hash : nullptr, nb};
	reframer_pass(stage, &burst, now);
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
		if (nb <= std::min<uint32_t>(room, chunk) && reframer_passes(stage)) {
			leave_out(packets, nb, now);
			last_worked = nb > 0;
			return nb;
		}
	}
	if (nb > 0)
		take(packets, nb, now, out);
	give(now, room, out);
	last_worked = nb > 0 || out.given > 0;
	return uint16_t(out.given);
}

// A core that is short of time gets a full array each time, and more is due.
uint16_t reframer_dpdk_queue::receive(rte_mbuf **packets, uint16_t nb)
{
	const uint64_t now = clock.now();
	const auto most = uint16_t(std::min<uint32_t>(nb, reframer_room(stage, now)));
	const uint16_t received = most ? rte_eth_rx_burst(port, queue, packets, most) : 0;
	return pass(packets, received, nb, now);
}

uint32_t reframer_dpdk_queue::drain(rte_mbuf **packets, uint32_t room)
{
	Output out = {packets, room};
	nb_runs = 0;
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
	out.stage.unparsed += unparsed.load(std::memory_order_relaxed);
}

namespace {

reframer_dpdk_params default_params()
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
	full = default_params();
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
	reframer_dpdk_params full = default_params();
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
	return q->receive(packets, nb);
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
