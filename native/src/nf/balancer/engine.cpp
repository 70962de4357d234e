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
	  service_(Addresses::of(p.service, p.service6)),
	  serves_v4_(service_.has_v4() || (p.flags & BALANCER_ANY_DESTINATION && !service_.has_v6())),
	  quic_port_(__builtin_bswap16(static_cast<uint16_t>(p.quic_port))),
	  syns_(nb_syns, syn_life_ns), fragments_(nb_fragments, fragment_life_ns),
	  first_ids_(nb_first_ids, first_id_life_ns)
{
}

int Engine::add(const balancer_server &given)
{
	using Kind = ServerClock::Kind;
	Server s;
	s.address = load32(given.address);
	std::copy(std::begin(given.address6), std::end(given.address6), s.address6.begin());
	for (const bool v6 : {false, true}) {
		if ((v6 ? s.has_v6() : s.has_v4()) != serves(v6))
			return -EINVAL;
		if (serves(v6) && pool.at(s.at(v6)) != Pool::none)
			return -EEXIST;
	}
	s.weight = given.weight;
	s.change = nf::fold(nf::change32(service_.v4, s.address));
	s.change6 = nf::fold(change128(service_.v6.data(), s.address6.data()));
	s.clock =
		given.clock == BALANCER_CLOCK_DETECT
			? ServerClock()
			: ServerClock(given.clock == BALANCER_CLOCK_UNIFORM ? Kind::uniform : Kind::differing,
	                      true);
	std::copy(given.mac, given.mac + 6, s.mac);
	s.has_mac = std::any_of(given.mac, given.mac + 6, [](uint8_t b) { return b != 0; });
	const uint32_t id = pool.add(s);
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
	if (c.flags & is_carried)
		engine->pool[c.server_plus_one - 1u].let_go();
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

void Engine::put_addresses(Key &key, Address source, Address destination) const
{
	if (!source.v6) {
		key.source = source.v4();
		key.destination = destination.v4();
		return;
	}
	const auto from = source.words(), to = destination.words();
	const uint64_t both = hash_(from[0], from[1], to[0], to[1]);
	key.source = static_cast<uint32_t>(both);
	key.destination = static_cast<uint32_t>(both >> 32);
}

Client Engine::client(Address client, uint16_t port, uint16_t service_port, uint8_t protocol) const
{
	Client c{{}, client};
	put_addresses(c.key, client, service(client.v6));
	c.key.source_port = port;
	c.key.destination_port = service_port;
	c.key.protocol = protocol;
	c.key.used = client.v6 ? key_of_ipv6 : key_of_ipv4;
	return c;
}

uint8_t Engine::read(uint8_t *frame, uint32_t captured, Packet &p) const
{
	const uint8_t verdict = read_packet(frame, captured, p);
	if (verdict == nf::verdict_pass && p.v6) [[unlikely]]
		put_addresses(p.key, p.address(End::source), p.address(End::destination));
	return verdict;
}

Outcome Engine::process(Packet &p, const uint64_t *digest, uint64_t now)
{
	const bool any = params.flags & BALANCER_ANY_DESTINATION;
	if (!serves(p.v6)) [[unlikely]]
		return {BALANCER_OTHER};
	if (is_service(p.address(End::destination)) && !any) [[likely]]
		return from_client(p, digest, now);
	if (const uint32_t id = pool.at(p.address(End::source)); id != Pool::none)
		return from_server(p, id, now);
	if (any)
		return from_client(p, digest, now);
	return p.layer4 == nf::layer4_icmp_error ? error_between(p) : Outcome{BALANCER_OTHER};
}

Outcome Engine::to_server(Packet &p, uint32_t id, uint32_t change)
{
	const Server &s = pool[id];
	rewrite_address(p, End::destination, s.at(p.v6), change);
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
