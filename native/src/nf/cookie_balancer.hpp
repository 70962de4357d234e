// A load balancer without any state: the server's number travels in the TCP timestamps that both
// ends exchange anyway (the idea of Cheetah, NSDI'20). Packets from a server leave with the low
// byte of their timestamp replaced by a cookie; the client echoes it, and the echo tells the server.
// A connection thus stays where it is when servers come and go, and there is nothing to look up.
//
// Its price: a server gets its timestamps back with a low byte of zero, so it overestimates round
// trips by up to 255 ticks of its clock. Packets without a cookie (SYN, UDP, no timestamps) go where
// consistent hashing sends them.
#pragma once

#include "nf/backends.hpp"
#include "nf/chain.hpp"
#include "nf/flow_hash.hpp"

#include <memory>

namespace reframer::nf {

class CookieBalancer {
public:
	// The service's own address, as clients see it: the source of what servers send.
	static constexpr uint32_t service_address = 0xc613ff01u; // 198.19.255.1

	CookieBalancer(std::shared_ptr<const Backends> servers, uint64_t seed)
		: servers_(std::move(servers)), seed_(seed)
	{
	}

	struct Choice {
		uint64_t hash; // where a packet without cookie goes
		uint8_t mask;  // over the number in the cookie, so that clients cannot choose a server
	};
	Choice lookup(const Context &leader) const
	{
		return {hash_key(leader.key, seed_),
		        mask_of(leader.key.source, leader.key.source_port, leader.key.destination_port)};
	}
	void apply(Context &c, const Choice &choice);
	void counters(Counters &out) const
	{
		out.emplace_back("cookies", cookies_);
		out.emplace_back("hashed", hashed_);
		out.emplace_back("stamped", stamped_);
	}

private:
	uint8_t mask_of(uint32_t client, uint16_t client_port, uint16_t port) const
	{
		Ipv4Tuple key{};
		key.source = client;
		key.source_port = client_port;
		key.destination_port = port;
		key.used = 1;
		return static_cast<uint8_t>(hash_key(key, ~seed_));
	}
	void stamp(Context &c, uint32_t server, uint8_t *option);

	std::shared_ptr<const Backends> servers_;
	uint64_t seed_;
	uint64_t cookies_ = 0, hashed_ = 0, stamped_ = 0;
};

} // namespace reframer::nf
