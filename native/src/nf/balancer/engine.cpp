#include "nf/balancer/engine.hpp"

#include <algorithm>
#include <cerrno>

namespace reframer::balance {

namespace {

// A SYN is sent again for two minutes (Linux: six times, 1 to 63 s apart).
constexpr uint64_t syn_life_ns = 130'000'000'000;
constexpr uint32_t nb_syns = 16384, nb_fragments = 4096;
// Linux waits 30 s for the rest of a datagram (net.ipv4.ipfrag_time).
constexpr uint64_t fragment_life_ns = 30'000'000'000;
// A QUIC handshake is given up after half a minute of silence by common clients.
constexpr uint64_t first_id_life_ns = 60'000'000'000;
constexpr uint32_t nb_first_ids = 16384;

uint32_t address_of(const uint8_t bytes[4])
{
	return load32(bytes);
}

uint64_t seed_of(const balancer_params &p, uint64_t salt)
{
	return KeyedHash(p.key)(salt);
}

} // namespace

Engine::Engine(const balancer_params &p)
	: params(p), pool(p.max_servers),
	  policy(pool, static_cast<balancer_policy>(p.policy),
             p.flags & BALANCER_BOOK ? p.connection_load : 0, seed_of(p, 1)),
	  tracker(p, seed_of(p, 2), left, this), hash_(p.key),
	  cookie_(p.max_servers, p.version_bits, p.check_bits), masks_(best_masks()),
	  service_(address_of(p.service)),
	  quic_port_(__builtin_bswap16(static_cast<uint16_t>(p.quic_port))),
	  syns_(nb_syns, syn_life_ns), fragments_(nb_fragments, fragment_life_ns),
	  first_ids_(nb_first_ids, first_id_life_ns)
{
}

int Engine::add(const balancer_server &given)
{
	const uint32_t address = address_of(given.address);
	if (pool.at_address(address) != Pool::none)
		return -EEXIST;
	using Kind = ServerClock::Kind;
	Server s;
	s.weight = given.weight;
	s.change = nf::fold(nf::change32(service_, address));
	s.clock =
		given.clock == BALANCER_CLOCK_DETECT
			? ServerClock()
			: ServerClock(given.clock == BALANCER_CLOCK_UNIFORM ? Kind::uniform : Kind::differing,
	                      true);
	std::copy(given.mac, given.mac + 6, s.mac);
	s.has_mac = std::any_of(given.mac, given.mac + 6, [](uint8_t b) { return b != 0; });
	const uint32_t id = pool.add(address, s);
	if (id == Pool::none)
		return -ENOSPC;
	policy.rebuild();
	return static_cast<int>(id);
}

void Engine::set_state(uint32_t id, ServerState state)
{
	pool.set_state(id, state);
	policy.rebuild();
}

void Engine::remove(uint32_t id)
{
	pool.remove(id);
	policy.forget(id);
	policy.rebuild();
}

void Engine::set_weight(uint32_t id, uint32_t weight)
{
	pool[id].weight = weight;
	pool.changed();
	policy.rebuild();
}

void Engine::left(void *context, const Connection &c)
{
	auto *engine = static_cast<Engine *>(context);
	// The id may have gone to another server since; then that one has none to count.
	if (c.flags & is_carried && engine->pool[c.server_plus_one - 1u].carried > 0)
		engine->pool[c.server_plus_one - 1u].carried--;
}

// Another connection takes the entry, or what was known of this one is void.
void Engine::renew(Connection *c, const Connection &as)
{
	if (c->flags & is_carried)
		left(this, *c);
	*c = as;
}

void Engine::close(Connection *c, uint64_t now)
{
	if (c->flags & is_closing)
		return;
	c->flags |= is_closing;
	tracker.set_phase(c, closing, now);
}

// A packet of the client after its first one.
void Engine::see(Connection *c, uint8_t flags, uint64_t now)
{
	if (flags & (tcp_fin | tcp_rst)) [[unlikely]] {
		close(c, now);
	} else if (!(c->flags & (is_confirmed | is_closing))) [[unlikely]] {
		c->flags |= is_confirmed;
		tracker.set_phase(c, established, now);
	}
}

Outcome Engine::process(Packet &p, const uint64_t *digest, uint64_t now)
{
	const bool any = params.flags & BALANCER_ANY_DESTINATION;
	if (is_service(p.key.destination) && !any) [[likely]]
		return from_client(p, digest, now);
	if (const uint32_t id = pool.at_address(p.key.source); id != Pool::none)
		return from_server(p, id, now);
	if (any)
		return from_client(p, digest, now);
	return p.layer4 == nf::layer4_icmp_error ? error_between(p) : Outcome{BALANCER_OTHER};
}

Outcome Engine::to_server(Packet &p, uint32_t id, uint32_t change)
{
	const Server &s = pool[id];
	rewrite_address(p, destination_at, s.address, change);
	if (s.has_mac)
		std::memcpy(p.frame, s.mac, sizeof(s.mac));
	return {BALANCER_TO_SERVER, id};
}

balancer_stats Engine::snapshot() const
{
	balancer_stats s = stats;
	for (uint32_t id = 0; id < pool.size(); id++) {
		s.active += pool[id].state == ServerState::active;
		s.draining += pool[id].state == ServerState::draining;
		s.uniform += pool[id].present() && pool[id].clock.kind() == ServerClock::Kind::uniform;
	}
	s.connections = tracker.size();
	s.other = verdicts[BALANCER_OTHER];
	s.to_server = verdicts[BALANCER_TO_SERVER];
	s.to_client = verdicts[BALANCER_TO_CLIENT];
	s.to_all = verdicts[BALANCER_TO_ALL];
	s.dropped = verdicts[BALANCER_DROP];
	return s;
}

bool Engine::direct(Packet &p, uint32_t id)
{
	if (p.layer4 == nf::layer4_icmp_error)
		return error_for(p, id, 0);
	if (!p.has_ports())
		return false;
	to_server(p, id);
	return true;
}

} // namespace reframer::balance
