// What the stage is told of received mbufs: hashes and lengths where no policy looks at headers, else
// the headers, in one piece.
#include "dpdk/counter.hpp"
#include "dpdk/queue.hpp"

#include <rte_mbuf.h>

#include <algorithm>

using namespace reframer;
using dpdk::add;

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
