// Packets of clients: which server is theirs.
#include "nf/balancer/engine.hpp"

namespace reframer::balance {

bool Engine::may_flood(uint64_t now)
{
	if (const uint64_t second = now / 1'000'000'000; second != flood_second_) {
		flood_second_ = second;
		floods_ = 0;
	}
	return floods_++ < params.flood_per_second;
}

// Nothing tells the server of a packet that is not the first of its connection.
Outcome Engine::nowhere(Packet &p, uint64_t now)
{
	if (may_flood(now) && (!pool.active().empty() || pool.nb_draining() > 0))
		return {BALANCER_TO_ALL};
	stats.strays++;
	return by_hash(p);
}

Outcome Engine::by_hash(Packet &p)
{
	const uint32_t id = policy.by_hash(hash(p.key));
	if (id == Pool::none)
		return {BALANCER_DROP};
	stats.by_hash++;
	return to_server(p, id);
}

uint64_t Engine::datagram_hash(const Packet &p) const
{
	Key key = p.key;
	std::memcpy(&key.source_port, &p.datagram, sizeof(p.datagram)); // over both ports
	if (p.v6) // what a later fragment carries cannot be known
		key.protocol = 0;
	key.used = key_of_datagram;
	return hash(key);
}

Outcome Engine::from_client(Packet &p, const uint64_t *digest, uint64_t now)
{
	if (p.later_fragment) [[unlikely]] {
		const uint32_t id = fragments_.find(datagram_hash(p), now);
		if (pool.has(id))
			return to_server(p, id);
		stats.lost_fragments++;
		return by_hash(p);
	}
	Outcome out;
	if (params.memory == BALANCER_FORGET)
		out = by_hash(p);
	else if (p.layer4 == nf::layer4_tcp)
		out = segment(p, digest, now);
	else if (p.layer4 == nf::layer4_udp)
		out = datagram(p, digest, now);
	else if (p.layer4 == nf::layer4_icmp_error)
		out = error_to_server(p, now);
	else
		out = by_hash(p); // no connection that could break
	if (p.fragment && out.verdict == BALANCER_TO_SERVER) [[unlikely]] {
		// As the packet came: its destination is the server's by now.
		fragments_.put(datagram_hash(p), out.server, now);
	}
	return out;
}

Outcome Engine::segment(Packet &p, const uint64_t *digest, uint64_t now)
{
	const uint8_t flags = p.tcp_flags();
	const Timestamps ts = find_timestamps(p.l4, p.end);
	if ((flags & (tcp_syn | tcp_ack)) == tcp_syn) [[unlikely]]
		return opens(p, ts, digest, now);
	if (!ts || params.memory == BALANCER_TRACK || !(flags & tcp_ack))
		return tracked(p, digest, now);
	const uint32_t echo = load_be32(ts.echo());
	const uint32_t id = cookie_.id(echo, mask(client_of(p)));
	if (!pool.has(id)) [[unlikely]] {
		stats.wrong_cookies++;
		return tracked(p, digest, now);
	}
	stats.by_cookie++;
	const uint32_t clock = server_clock(p, echo, id, digest, now);
	return to_server(p, id, replace32(p.l4, ts.echo(), clock));
}

// Whether the entry has this connection's clock: while its server's is uniform, only if it is carried on.
bool Engine::keeps_clock(const Connection &c, uint32_t id) const
{
	const uint8_t needed =
		pool[id].clock.kind() == ServerClock::Kind::uniform ? has_clock | is_carried : has_clock;
	return c.server_plus_one == id + 1 && (c.flags & needed) == needed;
}

// The server's timestamp of which this is the echo.
uint32_t Engine::server_clock(const Packet &p, uint32_t echo, uint32_t id, const uint64_t *digest,
                              uint64_t now)
{
	Server &s = pool[id];
	if (s.by_table()) {
		if (Connection *c = tracker.find(p.key, digest, now); c && keeps_clock(*c, id)) {
			see(c, p.tcp_flags(), now);
			const uint32_t clock = cookie_.clock(echo, c->clock, c->bias);
			// The client did not take the last word: its entry had been lost. The next one goes on from this.
			if (!cookie_.newer(clock, c->clock)) [[unlikely]]
				c->clock = clock;
			return clock;
		}
	}
	if (!s.clock.known()) [[unlikely]] {
		stats.unrestored++;
		return cookie_.clock(echo, 0) & ((1u << cookie_.clock_bits()) - 1);
	}
	const uint32_t clock = cookie_.clock(echo, s.clock.latest());
	if (s.clock.kind() != ServerClock::Kind::uniform) [[unlikely]] {
		// Its entry was lost: the clock of another client tells the upper bits no better than none, but
		// the words can go on from this one.
		if (Connection *c = tracker.find_or_insert(p.key, digest, now, opening))
			renew(c, {clock, static_cast<uint16_t>(id + 1), 0, has_clock});
		else
			stats.refused++;
	} else if (!cookie_.newer(clock, s.clock.latest())) [[unlikely]] {
		carry_on(p, clock, id, digest, now);
	}
	return clock;
}

// The client would take what the server sends now for older than what it has.
void Engine::carry_on(const Packet &p, uint32_t clock, uint32_t id, const uint64_t *digest,
                      uint64_t now)
{
	Connection *c = tracker.find_or_insert(p.key, digest, now, established);
	if (!c) {
		stats.refused++;
		return;
	}
	renew(c, {clock, static_cast<uint16_t>(id + 1), 0, has_clock | is_carried});
	pool[id].carry();
	stats.carried_on++;
}

Outcome Engine::opens(Packet &p, const Timestamps &ts, const uint64_t *digest, uint64_t now)
{
	const uint64_t key_hash = hash(p.key);
	const bool by_cookie = ts && params.memory == BALANCER_COOKIE;
	Connection *c = by_cookie ? tracker.find(p.key, digest, now)
	                          : tracker.find_or_insert(p.key, digest, now, opening);
	if (!c && !by_cookie) {
		stats.refused++;
		return {BALANCER_DROP};
	}
	// Sent again, or the same ports soon after: that server may still know the connection before.
	uint32_t id = syns_.find(key_hash, now);
	if (!pool.has(id) && c)
		id = c->server_plus_one - 1u;
	if (!pool.has(id) || pool[id].state != ServerState::active) {
		id = policy.choose(key_hash, client_of(p));
		if (id == Pool::none)
			return {BALANCER_DROP};
		stats.placed++;
		syns_.put(key_hash, id, now);
	}
	if (c)
		renew(c, {0, static_cast<uint16_t>(id + 1), 0, 0});
	return to_server(p, id);
}

// By the flow table: what has no cookie, or a wrong one.
Outcome Engine::tracked(Packet &p, const uint64_t *digest, uint64_t now)
{
	Connection *c = tracker.find(p.key, digest, now);
	if (!c || c->server_plus_one == 0) {
		if (p.tcp_flags() & tcp_rst)
			return nowhere(p, now);
		stats.strays++;
		return by_hash(p);
	}
	const uint32_t id = c->server_plus_one - 1u;
	if (!pool.has(id)) {
		stats.gone++;
		return by_hash(p);
	}
	see(c, p.tcp_flags(), now);
	stats.by_table++;
	return to_server(p, id);
}

Outcome Engine::datagram(Packet &p, const uint64_t *digest, uint64_t now)
{
	if (quic_ids.any() && p.key.destination_port == quic_port_ && params.memory == BALANCER_COOKIE)
		return quic(p, digest, now);
	Connection *c = tracker.find_or_insert(p.key, digest, now, datagrams);
	if (!c) {
		stats.refused++;
		return {BALANCER_DROP};
	}
	uint32_t id = c->server_plus_one - 1u;
	if (c->server_plus_one != 0 && pool.has(id)) {
		stats.by_table++;
		return to_server(p, id);
	}
	stats.gone += c->server_plus_one != 0;
	id = policy.choose(hash(p.key), client_of(p));
	if (id == Pool::none)
		return {BALANCER_DROP};
	stats.placed++;
	*c = {0, static_cast<uint16_t>(id + 1), 0, 0};
	return to_server(p, id);
}

} // namespace reframer::balance
