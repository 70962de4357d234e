#include "nf/load_balancer.hpp"

#include <algorithm>
#include <new>

namespace reframer::nf {

LoadBalancer::LoadBalancer(uint32_t capacity, std::shared_ptr<const Backends> servers,
                           uint64_t seed)
	: servers_(std::move(servers)), seed_(seed)
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.key_size = CONNTRACK_KEY_IPV4;
	p.state_size = sizeof(Connection);
	p.initial_flows = std::max<uint64_t>(capacity, 64);
	p.max_flows = p.initial_flows;
	// The chain has no clock: connections stay, and a full table refuses new ones.
	p.flags = CONNTRACK_FIXED_SIZE | CONNTRACK_NO_EVICTION;
	p.seed = seed | 1;
	conntrack_table *table = nullptr;
	if (conntrack_create(&p, &table) != 0)
		throw std::bad_alloc();
	table_.reset(table);
}

void LoadBalancer::prepare(Context *const *leaders, uint32_t n, bool look_ahead)
{
	constexpr uint32_t step = 128; // keys of a chunk
	Ipv4Tuple keys[step];
	uint64_t digests[step];
	for (uint32_t at = 0; at < n; at += step) {
		uint32_t count = std::min(n - at, step);
		for (uint32_t i = 0; i < count; i++)
			keys[i] = leaders[at + i]->key;
		conntrack_digest_burst(table_.get(), keys, nullptr, count, digests);
		if (look_ahead)
			conntrack_prefetch_burst(table_.get(), digests, count);
		for (uint32_t i = 0; i < count; i++)
			leaders[at + i]->digest = digests[i];
	}
}

LoadBalancer::Connection *LoadBalancer::find_or_choose(const Ipv4Tuple &key, const uint64_t *digest)
{
	void *state = conntrack_find_or_insert(table_.get(), &key, digest, CONNTRACK_NO_TIME, nullptr);
	auto *c = static_cast<Connection *>(state);
	if (c && c->server_plus_one == 0) {
		uint16_t server = servers_->choose(hash_key(key, seed_));
		c->server_plus_one = static_cast<uint16_t>(server + 1);
		c->ip_change = fold(change32(key.destination, servers_->address(server)));
		c->l4_change = c->ip_change;
	}
	return c;
}

void LoadBalancer::counters(Counters &out) const
{
	conntrack_stats stats;
	conntrack_get_stats(table_.get(), &stats);
	out.emplace_back("connections", stats.flows);
}

} // namespace reframer::nf
