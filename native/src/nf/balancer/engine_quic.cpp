// QUIC: packets of clients by the connection id that their server made, whatever address they come
// from; before there is one, by the id that the client drew and by addresses and ports.
#include "nf/balancer/engine.hpp"

#include <algorithm>

namespace reframer::balance {

uint64_t Engine::hash_of(const QuicHeader &header) const
{
	// Eight octets at least are drawn (RFC 9000, section 7.2), 20 at most.
	uint64_t words[3] = {};
	std::memcpy(words, header.id, std::min<size_t>(header.length, sizeof(words)));
	return hash_(words[0], words[1] ^ (words[2] << 32 | header.length));
}

Outcome Engine::quic(Packet &p, const uint64_t *digest, uint64_t now)
{
	const QuicHeader header = read_quic(p.l4 + 8, p.end);
	if (const uint32_t id = quic_ids.server(header); pool.has(id)) [[likely]] {
		stats.by_quic++;
		return to_server(p, id);
	}
	stats.unroutable_ids++;
	if (!header.is_long) {
		// A server that makes other ids, or one that has left.
		Outcome out = tracked_datagram(p, digest, now);
		if (out.verdict == BALANCER_TO_SERVER)
			return out;
		stats.strays++;
		return by_hash(p);
	}
	const uint64_t id_hash = hash_of(header);
	Connection *c = tracker.find_or_insert(p.key, digest, now, opening);
	if (!c) {
		stats.refused++;
		return {BALANCER_DROP};
	}
	// The client's id first: its address may change before the server's first answer.
	uint32_t id = first_ids_.find(id_hash, now);
	if (!pool.has(id)) {
		id = c->server_plus_one - 1u;
		if (!pool.has(id)) {
			id = policy.choose(hash(p.key), client_of(p));
			if (id == Pool::none)
				return {BALANCER_DROP};
			stats.placed++;
		}
		first_ids_.put(id_hash, id, now);
	}
	if (c->server_plus_one != id + 1)
		*c = {0, static_cast<uint16_t>(id + 1), 0, 0};
	stats.by_table++;
	return to_server(p, id);
}

// By its entry; BALANCER_OTHER where there is none.
Outcome Engine::tracked_datagram(Packet &p, const uint64_t *digest, uint64_t now)
{
	Connection *c = tracker.find(p.key, digest, now);
	if (!c || c->server_plus_one == 0)
		return {BALANCER_OTHER};
	const uint32_t id = c->server_plus_one - 1u;
	if (!pool.has(id)) {
		stats.gone++;
		return {BALANCER_OTHER};
	}
	if (!(c->flags & is_confirmed)) {
		c->flags |= is_confirmed;
		tracker.set_phase(c, datagrams, now);
	}
	stats.by_table++;
	return to_server(p, id);
}

} // namespace reframer::balance
