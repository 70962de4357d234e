// The flow table of connections that a cookie cannot serve alone.
#pragma once

#include "api/owned.hpp"
#include "nf/context.hpp"
#include "reframer/balancer.h"

#include <cstdint>

namespace reframer::balance {

// What is kept of a connection: with it, two whole connections fit into a line of the table.
struct Connection {
	uint32_t clock; // last timestamp from the server, where known
	uint16_t server_plus_one;
	uint8_t bias;  // of the cookie's version
	uint8_t flags; // enum ConnectionFlag
};
static_assert(sizeof(Connection) == 8);

enum ConnectionFlag : uint8_t {
	has_clock = 1,
	is_carried = 2,   // counts in its server's `carried`
	is_confirmed = 4, // the client has answered
	is_closing = 8,   // a FIN or RST was seen
};

enum Phase : uint8_t { opening, established, closing, datagrams };

class Tracker {
public:
	// Calls `left(context, connection)` for every one that leaves.
	// Throws std::bad_alloc.
	Tracker(const balancer_params &params, uint64_t seed,
	        void (*left)(void *context, const Connection &), void *context);

	// Connections are known by the client's side: client, service, their ports.
	Connection *find(const nf::Ipv4Tuple &key, const uint64_t *digest, uint64_t now)
	{
		return static_cast<Connection *>(conntrack_find(table_.get(), &key, digest, now));
	}
	// server_plus_one is 0 in a new one; null where there is no room.
	Connection *find_or_insert(const nf::Ipv4Tuple &key, const uint64_t *digest, uint64_t now,
	                           Phase phase);
	void set_phase(Connection *c, Phase phase, uint64_t now)
	{
		conntrack_set_class(table_.get(), c, phase, now);
	}
	void digest(const nf::Ipv4Tuple *keys, uint32_t n, uint64_t *digests)
	{
		conntrack_digest_burst(table_.get(), keys, nullptr, n, digests);
	}
	// Once a burst; works once a millisecond.
	void sweep(uint64_t now)
	{
		if (now - swept_ns_ < sweep_ns)
			return;
		swept_ns_ = now;
		conntrack_expire(table_.get(), now, swept_buckets);
	}
	uint64_t size() const
	{
		conntrack_stats stats;
		conntrack_get_stats(table_.get(), &stats);
		return stats.flows;
	}

private:
	// 5 us at a time: a million buckets take 16 s, and a lookup never finds a dead entry anyway.
	static constexpr uint64_t sweep_ns = 1'000'000;
	static constexpr uint32_t swept_buckets = 64;

	static void on_removed(void *context, const void *key, void *state, int reason);

	void (*left_)(void *, const Connection &);
	void *context_;
	api::FlowTable table_;
	uint64_t swept_ns_ = 0;
};

} // namespace reframer::balance
