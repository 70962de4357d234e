// Router and firewall on DPDK's tables; both look up many leaders at once.
#pragma once

#include "nf/chain.hpp"
#include "nf/dpdk_tables.hpp"
#include "nf/rewrite.hpp"

namespace reframer::nf {

template <typename Table, typename Store>
void find_all(const Table &table, Context *const *leaders, uint32_t n, Store store)
{
	constexpr uint32_t step = 128;
	uint32_t addresses[step];
	uint16_t found[step];
	for (uint32_t at = 0; at < n; at += step) {
		uint32_t count = std::min(n - at, step);
		for (uint32_t i = 0; i < count; i++)
			addresses[i] = leaders[at + i]->destination_host();
		table.find(addresses, count, found);
		for (uint32_t i = 0; i < count; i++)
			store(*leaders[at + i], found[i]);
	}
}

class DpdkRouter {
public:
	static constexpr bool forwards = true;
	explicit DpdkRouter(std::shared_ptr<const DpdkRoutes> routes) : routes_(std::move(routes)) {}
	void prepare(Context *const *leaders, uint32_t n, bool)
	{
		find_all(*routes_, leaders, n, [](Context &c, uint16_t hop) { c.next_hop = hop; });
	}
	uint16_t lookup(const Context &leader) const { return leader.next_hop; }
	void apply(Context &c, uint16_t hop) { forward(c, hop); }
	void plan(const Context &c, const RunLoad &, Rewrite &w) { w.forward(c.next_hop); }

private:
	std::shared_ptr<const DpdkRoutes> routes_;
};

class DpdkFirewall {
public:
	explicit DpdkFirewall(std::shared_ptr<const DpdkRules> rules)
		: matched_(rules->size()), rules_(std::move(rules))
	{
	}
	void prepare(Context *const *leaders, uint32_t n, bool)
	{
		find_all(*rules_, leaders, n, [](Context &c, uint16_t rule) { c.prepared = rule; });
	}
	uint16_t lookup(const Context &leader) const { return leader.prepared; }
	void apply(Context &c, uint16_t rule)
	{
		matched_[rule]++;
		if (rules_->deny(rule))
			c.verdict = verdict_denied;
	}
	void plan(const Context &c, const RunLoad &load, Rewrite &w)
	{
		matched_[c.prepared] += load.packets;
		if (rules_->deny(c.prepared))
			w.verdict = verdict_denied;
	}
	void counters(Counters &out) const { out.emplace_back("firewallMatchAll", matched_.back()); }

private:
	std::vector<uint64_t> matched_; // packets by rule
	std::shared_ptr<const DpdkRules> rules_;
};

} // namespace reframer::nf
