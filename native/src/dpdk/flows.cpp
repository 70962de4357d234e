// Flow tracking of mbuf bursts: headers to keys, keys to the table, states back to their packets.
#include "dpdk/registry.hpp"
#include "packet/parse.hpp"
#include "reframer/dpdk.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

using namespace reframer;

namespace {

using Shown = dpdk::Registry<dpdk::ShownTable>;

constexpr uint32_t header_room = 256; // any stack of headers up to the ports, in practice

// False: no flow that keys of this size can name.
bool key_of(const rte_mbuf *packet, uint32_t key_size, uint8_t *key)
{
	uint8_t copy[header_room];
	const uint8_t *data = rte_pktmbuf_mtod(packet, const uint8_t *);
	uint32_t captured = packet->data_len;
	if (packet->nb_segs > 1 && captured < header_room) {
		captured = std::min<uint32_t>(packet->pkt_len, header_room);
		data = static_cast<const uint8_t *>(rte_pktmbuf_read(packet, 0, captured, copy));
		if (data == nullptr)
			return false;
	}
	const packet::Headers headers = packet::parse(data, captured, packet->pkt_len,
	                                              packet::LinkType::ethernet, packet::Depth::outer);
	const bool ports = headers.flags & packet::header_ports;
	if (headers.version == 0 || (headers.flags & packet::header_fragment && !ports))
		return false;
	const uint16_t from = ports ? headers.source_port : 0,
				   to = ports ? headers.destination_port : 0;
	const uint8_t *l3 = data + headers.l3;
	if (key_size == CONNTRACK_KEY_IPV4) {
		if (headers.version != 4)
			return false;
		conntrack_key_ipv4(key, l3 + 12, l3 + 16, rte_cpu_to_be_16(from), rte_cpu_to_be_16(to),
		                   headers.protocol);
	} else if (headers.version == 6) {
		conntrack_key_ipv6(key, l3 + 8, l3 + 24, rte_cpu_to_be_16(from), rte_cpu_to_be_16(to),
		                   headers.protocol);
	} else {
		uint8_t mapped[2][16] = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
		                         {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
		std::memcpy(mapped[0] + 12, l3 + 12, 4);
		std::memcpy(mapped[1] + 12, l3 + 16, 4);
		conntrack_key_ipv6(key, mapped[0], mapped[1], rte_cpu_to_be_16(from), rte_cpu_to_be_16(to),
		                   headers.protocol);
	}
	return true;
}

} // namespace

extern "C" {

int conntrack_dpdk_burst(struct conntrack_table *table, struct rte_mbuf *const *packets,
                         uint32_t nb, uint64_t now_ns, void **states, uint8_t *results)
{
	if (table == nullptr || nb > CONNTRACK_DPDK_BURST ||
	    (nb > 0 && (packets == nullptr || states == nullptr)))
		return -EINVAL;
	const uint32_t key_size = conntrack_key_size(table);
	const bool nic = conntrack_flags(table) & CONNTRACK_NIC_HASH;
	alignas(64) uint8_t keys[CONNTRACK_DPDK_BURST * CONNTRACK_KEY_IPV6];
	uint32_t hashes[CONNTRACK_DPDK_BURST], at[CONNTRACK_DPDK_BURST], nb_keys = 0;
	for (uint32_t i = 0; i < nb; i++) {
		states[i] = nullptr;
		if (results)
			results[i] = 0;
		if (nic && !(packets[i]->ol_flags & RTE_MBUF_F_RX_RSS_HASH))
			continue;
		if (!key_of(packets[i], key_size, keys + nb_keys * key_size))
			continue;
		hashes[nb_keys] = packets[i]->hash.rss;
		at[nb_keys++] = i;
	}
	if (nb_keys == 0)
		return 0;
	uint64_t digests[CONNTRACK_DPDK_BURST];
	void *found[CONNTRACK_DPDK_BURST];
	uint8_t news[CONNTRACK_DPDK_BURST];
	if (nic)
		conntrack_digest_burst(table, keys, hashes, nb_keys, digests);
	// Prefetching within the burst is the call's own affair.
	const uint32_t n = conntrack_find_or_insert_burst(table, keys, nic ? digests : nullptr, nb_keys,
	                                                  now_ns, found, news);
	for (uint32_t i = 0; i < nb_keys; i++) {
		states[at[i]] = found[i];
		if (results)
			results[at[i]] = news[i];
	}
	return int(n);
}

int conntrack_dpdk_show(const char *name, const struct conntrack_table *table)
try {
	constexpr size_t longest_name = 32;
	if (name == nullptr || table == nullptr)
		return -EINVAL;
	const std::string wanted = name;
	if (wanted.empty() || wanted.size() > longest_name)
		return -EINVAL;
	for (const char c : wanted)
		if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-')
			return -EINVAL;
	bool taken = false;
	Shown::each([&](const auto &shown) { taken |= shown.name == wanted || shown.table == table; });
	if (taken)
		return -EEXIST;
	Shown::add(new dpdk::ShownTable{wanted, table});
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

void conntrack_dpdk_hide(const struct conntrack_table *table)
{
	dpdk::ShownTable *found = nullptr;
	Shown::each([&](dpdk::ShownTable &shown) { found = shown.table == table ? &shown : found; });
	if (found == nullptr)
		return;
	Shown::remove(found);
	delete found;
}

} // extern "C"
