// The functions that all styles chain, in their order.
#pragma once

#include "lab/chains/contender.hpp"
#include "nf/block/balancer.hpp"
#include "nf/block/chain.hpp"
#include "nf/block/firewall.hpp"
#include "nf/block/nat.hpp"

#include <stdexcept>
#include <tuple>

namespace reframer::lab::chains {

// Flows with room: new ones come, and some keys find none where a table is nearly full.
inline uint64_t capacity(const Terms &t)
{
	return t.flows + t.flows / 2;
}

inline conntrack_params table_params(const Terms &t)
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.initial_flows = std::max<uint64_t>(t.flows, 64);
	p.max_flows = std::max<uint64_t>(capacity(t), p.initial_flows);
	p.tick_ns = tick_ns;
	p.seed = t.seed + 1;
	std::fill_n(p.timeout_ns, CONNTRACK_NB_CLASSES, t.expires ? t.timeout_ns : 0);
	return p;
}

// Hands the first `t.functions` functions to `use`, which returns a contender.
template <typename Use> std::unique_ptr<Contender> with_functions(const Terms &t, Use use)
{
	using namespace nf::block;
	constexpr uint32_t nb_servers = 100;
	auto servers = std::make_shared<const nf::Backends>(nb_servers, t.seed);
	// Far above what a flow of the traffic sends: a limiter that drops would take work from the
	// functions behind it. It works on each packet all the same.
	auto limiter = [] { return RateLimiter(10'000'000'000, 100'000'000); };
	auto balancer = [&] { return BlockBalancer(servers, t.seed); };
	// 63 endpoints an address and 64 addresses a core are 4 M.
	auto nat = [&] {
		return BlockNat(0, static_cast<uint32_t>(std::min<uint64_t>(capacity(t), 64u * 64512)));
	};
	switch (t.functions) {
	case 1:
		return use(FlowCounter());
	case 2:
		return use(FlowCounter(), balancer());
	case 3:
		return use(FlowCounter(), balancer(), limiter());
	case 4:
		return use(FlowCounter(), balancer(), limiter(), nat());
	case 5:
		return use(FlowCounter(), balancer(), limiter(), nat(), ConnectionFirewall());
	}
	throw std::invalid_argument("a chain has 1 to 5 functions");
}

} // namespace reframer::lab::chains
