// Packets of servers: the service's address and the cookie.
#include "nf/balancer/engine.hpp"

namespace reframer::balance {

// What the client sees of a timestamp.
uint32_t Engine::word_for(const Client &client, uint32_t clock, uint32_t id, bool opens,
                          uint64_t now)
{
	Server &s = pool[id];
	const uint32_t client_mask = mask(client);
	if (!s.by_table())
		return cookie_.word(clock, id, client_mask);
	const bool own_clock = s.clock.kind() != ServerClock::Kind::uniform;
	Connection *c =
		own_clock ? tracker.find_or_insert(client.key, nullptr, now, opens ? opening : established)
				  : tracker.find(client.key, nullptr, now);
	if (!c) {
		stats.refused += own_clock;
		return cookie_.word(clock, id, client_mask);
	}
	if (opens || (own_clock && !keeps_clock(*c, id))) {
		renew(c, {clock, static_cast<uint16_t>(id + 1), 0, has_clock});
	} else if (!keeps_clock(*c, id)) {
		return cookie_.word(clock, id, client_mask);
	} else if (static_cast<int32_t>(clock - c->clock) > 0) {
		c->bias = static_cast<uint8_t>(cookie_.bias_after(c->clock, clock, c->bias));
		c->clock = clock;
		if (c->bias != 0 && !(c->flags & is_carried)) [[unlikely]] {
			c->flags |= is_carried; // also once the server's clock is known
			s.carry();
			stats.carried_on++;
		}
	}
	return cookie_.word(clock, id, client_mask, c->bias);
}

Outcome Engine::from_server(Packet &p, uint32_t id, uint64_t now)
{
	uint32_t change = 0;
	if (p.layer4 == nf::layer4_tcp) {
		const Client client = this->client(p.address(End::destination), p.key.destination_port,
		                                   p.key.source_port, p.key.protocol);
		const uint8_t flags = p.tcp_flags();
		const bool answers_syn = (flags & (tcp_syn | tcp_ack)) == (tcp_syn | tcp_ack);
		const Timestamps ts = find_timestamps(p.l4, p.end);
		if (ts && params.memory == BALANCER_COOKIE) {
			const uint32_t clock = load_be32(ts.value);
			pool[id].observe(clock, static_cast<uint32_t>(hash_(uint64_t{client.key.source})), now);
			change = replace32(p.l4, ts.value, word_for(client, clock, id, answers_syn, now));
		} else if (params.memory == BALANCER_COOKIE && answers_syn) {
			// The client offered timestamps, or not; the server wants none.
			if (Connection *c = tracker.find_or_insert(client.key, nullptr, now, opening))
				renew(c, {0, static_cast<uint16_t>(id + 1), 0, 0});
			else
				stats.refused++;
		}
		if (flags & (tcp_fin | tcp_rst) && params.memory != BALANCER_FORGET)
			if (Connection *c = tracker.find(client.key, nullptr, now))
				close(c, now);
	} else if (p.layer4 == nf::layer4_icmp_error) {
		error_to_client(p, id);
	}
	rewrite_address(p, End::source, service(p.v6), change);
	return {BALANCER_TO_CLIENT, id};
}

} // namespace reframer::balance
