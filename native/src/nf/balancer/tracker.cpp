#include "nf/balancer/tracker.hpp"

#include <algorithm>
#include <new>

namespace reframer::balance {

static_assert(sizeof(nf::Ipv4Tuple) == CONNTRACK_KEY_IPV4);

Tracker::Tracker(const balancer_params &params, uint64_t seed,
                 void (*left)(void *, const Connection &), void *context)
	: left_(left), context_(context)
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.key_size = CONNTRACK_KEY_IPV4;
	p.state_size = sizeof(Connection);
	p.max_flows = params.max_connections;
	p.initial_flows = std::min<uint64_t>(params.max_connections, 65536);
	p.timeout_ns[opening] = params.opening_ns;
	p.timeout_ns[established] = params.established_ns;
	p.timeout_ns[closing] = params.closing_ns;
	p.timeout_ns[datagrams] = params.udp_ns;
	// Enough for the longest of these in 16-bit ticks.
	p.tick_ns = 1'000'000'000;
	// A flood of SYNs pushes out its own kind first.
	p.protected_classes = 1u << established;
	p.seed = seed | 1;
	p.on_removed = on_removed;
	p.context = this;
	conntrack_table *table = nullptr;
	if (conntrack_create(&p, &table) != 0)
		throw std::bad_alloc();
	table_.reset(table);
}

void Tracker::on_removed(void *context, const void *, void *state, int)
{
	const auto *tracker = static_cast<const Tracker *>(context);
	tracker->left_(tracker->context_, *static_cast<Connection *>(state));
}

Connection *Tracker::find_or_insert(const nf::Ipv4Tuple &key, const uint64_t *digest, uint64_t now,
                                    Phase phase)
{
	int is_new = 0;
	auto *c = static_cast<Connection *>(
		conntrack_find_or_insert(table_.get(), &key, digest, now, &is_new));
	if (is_new && phase != opening)
		set_phase(c, phase, now);
	return c;
}

} // namespace reframer::balance
