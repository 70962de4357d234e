// A load balancer that remembers which server each connection went to. Every destination counts as
// a service of its own, so that any traffic exercises it.
#pragma once

#include "nf/backends.hpp"
#include "nf/chain.hpp"
#include "nf/flow_hash.hpp"
#include "nf/rewrite.hpp"
#include "reframer/conntrack.h"

#include <memory>

namespace reframer::nf {

class LoadBalancer {
public:
	struct Connection {
		uint16_t server_plus_one;
		uint16_t ip_change, l4_change;
		uint16_t zero;
	};
	static_assert(sizeof(Connection) == 8);

	static constexpr bool translates = true;

	LoadBalancer(uint32_t capacity, std::shared_ptr<const Backends> servers, uint64_t seed);

	// The table's own two steps: the lines that tell where a key is, then those of key and state.
	void prepare(Context *const *leaders, uint32_t n, bool look_ahead);
	Connection *lookup(const Context &leader)
	{
		return leader.has_ports() ? find_or_choose(leader.key, &leader.digest) : nullptr;
	}
	void apply(Context &c, const Connection *connection)
	{
		if (!c.has_ports()) // no connection; the server cannot be told from the address alone
			return;
		if (!connection)
			c.verdict = verdict_table_full;
		else
			rewrite_endpoint(c, 16, 2, servers_->address(connection->server_plus_one - 1u),
			                 c.key.destination_port, connection->ip_change, connection->l4_change);
	}
	void plan(const Context &c, const RunLoad &, Rewrite &w)
	{
		const Connection *connection = find_or_choose(c.key, &c.digest); // a common frame has ports
		if (!connection) {
			w.verdict = verdict_table_full;
			return;
		}
		w.to.destination = servers_->address(connection->server_plus_one - 1u);
		w.ip_change += connection->ip_change;
		w.l4_change += connection->l4_change;
	}
	void learn(const Ipv4Tuple &key, uint64_t, bool ports)
	{
		if (ports)
			find_or_choose(key, nullptr);
	}
	void counters(Counters &out) const;
	template <typename Visitor> void each(Visitor visit) const
	{
		conntrack_iterate(
			table_.get(), CONNTRACK_NO_TIME,
			[](void *context, const void *key, void *state, int) {
				Ipv4Tuple k;
				std::memcpy(&k, key, sizeof(k));
				(*static_cast<Visitor *>(context))(
					k, static_cast<Connection *>(state)->server_plus_one, 0);
			},
			&visit);
	}

private:
	Connection *find_or_choose(const Ipv4Tuple &key, const uint64_t *digest);

	struct TableDeleter {
		void operator()(conntrack_table *t) const { conntrack_free(t); }
	};
	std::unique_ptr<conntrack_table, TableDeleter> table_;
	std::shared_ptr<const Backends> servers_;
	uint64_t seed_;
};

} // namespace reframer::nf
