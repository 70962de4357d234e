#include "nf/balancer/chain_function.hpp"

#include "nf/balancer/parameters.hpp"

#include <algorithm>

namespace reframer::nf {

namespace {

void put_address(uint8_t out[4], uint32_t address)
{
	store32(out, __builtin_bswap32(address));
}

void put_address6(uint8_t out[16], uint32_t address)
{
	std::copy(std::begin(CookieBalancer::network6), std::end(CookieBalancer::network6), out);
	put_address(out + 12, address);
}

} // namespace

CookieBalancer::CookieBalancer(uint32_t servers, uint32_t max_connections, uint64_t seed)
{
	balancer_params p = balance::default_params();
	put_address(p.service, service_address);
	put_address6(p.service6, service_address);
	p.max_servers = std::max(servers, 1u);
	p.policy = BALANCER_MAGLEV;
	p.flags |= BALANCER_ANY_DESTINATION;
	p.flood_per_second = 0;
	p.max_connections = std::max(max_connections, 64u);
	std::memcpy(p.key, &seed, sizeof(seed));
	engine_ = std::make_unique<balance::Engine>(p);
	for (uint32_t i = 0; i < servers; i++) {
		balancer_server s = balance::default_server();
		put_address(s.address, first_server + i);
		put_address6(s.address6, first_server + i);
		engine_->add(s);
	}
}

void CookieBalancer::counters(Counters &out) const
{
	const balancer_stats s = engine_->snapshot();
	out.emplace_back("cookies", s.by_cookie);
	out.emplace_back("tracked", s.by_table);
	out.emplace_back("hashed", s.by_hash);
	out.emplace_back("wrongCookies", s.wrong_cookies);
	out.emplace_back("connections", s.connections);
}

} // namespace reframer::nf
