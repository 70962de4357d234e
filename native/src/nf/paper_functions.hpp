// The functions that the original measured, in its manner: scalar lookups, linear lists, a cache of
// one entry. Differences on purpose: every cache and table belongs to one core (the original shares
// the router's and the firewall's cache between cores and keeps a pointer to a dead variable).
#pragma once

#include "nf/chain.hpp"
#include "nf/chained_table.hpp"
#include "nf/flow_hash.hpp"
#include "nf/nat_icmp.hpp"
#include "nf/prefixes.hpp"
#include "nf/route.hpp"

#include <memory>
#include <vector>

namespace reframer::nf::paper {

// Finds the flow of a packet again behind the stage: one lookup unless the key repeats.
class Classifier {
public:
	Classifier(uint32_t capacity, uint64_t seed) : table_(capacity), seed_(seed) {}

	uint32_t lookup(const Context &c)
	{
		if (last_ != table_.none && table_.key(last_) == c.key)
			return last_;
		uint32_t flow = table_.find_or_insert(c.key, hash_key(c.key, seed_));
		if (flow != table_.none)
			last_ = flow;
		return flow;
	}
	void apply(Context &c, uint32_t flow)
	{
		if (flow == table_.none)
			c.verdict = verdict_table_full;
		else
			table_.state(flow).packets++;
	}
	void learn(const Ipv4Tuple &key, uint64_t, bool)
	{
		table_.find_or_insert(key, hash_key(key, seed_));
	}
	void counters(Counters &out) const { out.emplace_back("flows", table_.size()); }

private:
	// As large as what the original keeps of a flow here: its queue, times and counters.
	struct State {
		uint64_t packets;
		uint8_t rest[72];
	};
	ChainedTable<State> table_;
	uint64_t seed_;
	uint32_t last_ = ChainedTable<State>::none;
};

class Counter {
public:
	struct State {
		uint64_t packets, bytes;
	};
	Counter(uint32_t capacity, uint64_t seed) : table_(capacity), seed_(seed) {}

	uint32_t lookup(const Context &c)
	{
		return table_.find_or_insert(c.key, hash_key(c.key, seed_));
	}
	void apply(Context &c, uint32_t flow)
	{
		if (flow == table_.none) {
			c.verdict = verdict_table_full;
			return;
		}
		State &s = table_.state(flow);
		s.packets++;
		s.bytes += c.mbuf->wire;
	}
	void learn(const Ipv4Tuple &key, uint64_t, bool)
	{
		table_.find_or_insert(key, hash_key(key, seed_));
	}
	static constexpr bool counts_every_packet = true;
	template <typename Visitor> void each(Visitor visit) const
	{
		for (uint32_t i = 0; i < table_.size(); i++)
			visit(table_.key(i), table_.state(i).packets, table_.state(i).bytes);
	}

private:
	ChainedTable<State> table_;
	uint64_t seed_;
};

// A linear list of about a hundred routes with the last destination in front.
class Router {
public:
	explicit Router(const std::vector<Prefix> &routes) : routes_(routes) {}

	uint16_t lookup(const Context &c)
	{
		uint32_t destination = c.destination_host();
		if (destination == last_destination_ && cached_) {
			cache_hits++;
			return last_hop_;
		}
		size_t i = 0;
		while (!routes_[i].covers(destination)) // ends: the last two cover everything
			i++;
		cached_ = true;
		last_destination_ = destination;
		last_hop_ = routes_[i].result;
		scanned += i + 1;
		return last_hop_;
	}
	void apply(Context &c, uint16_t hop) { forward(c, hop); }
	void counters(Counters &out) const
	{
		out.emplace_back("routerCacheHits", cache_hits);
		out.emplace_back("routerScanned", scanned);
	}
	uint64_t cache_hits = 0, scanned = 0;

private:
	std::vector<Prefix> routes_;
	bool cached_ = false;
	uint32_t last_destination_ = 0;
	uint16_t last_hop_ = 0;
};

// 8 bytes a rule: 92 KiB for the original's list, about twice a first-level cache.
struct RuleList {
	struct Rule {
		uint32_t value, mask;
	};
	explicit RuleList(const std::vector<Prefix> &prefixes)
	{
		for (const Prefix &p : prefixes) {
			rules.push_back({p.value, p.mask});
			deny.push_back(p.deny);
		}
	}
	std::vector<Rule> rules;
	std::vector<uint8_t> deny;
};

// A linear list of destination rules, first match wins, with the last flow in front.
//
// Most of the paper chain's cost, and of what locality saves: a walk over all 11,746 rules takes
// about 8,000 TSC cycles at 2.6 GHz (0.7 a rule; the rules lie in the second-level cache), the rest
// of the chain about 400. At a run length of 1.2 that makes about 7,000 cycles a packet, where
// 6,500 were published. The published sweep splits otherwise: fitted to a + b / SLF it has about
// 2,700 a packet and 4,600 a run, because the original's elements cost more per packet and its rules
// less. So a longer run pays more here than it did there: compare shapes, not gains.
class Firewall {
public:
	explicit Firewall(std::shared_ptr<const RuleList> rules)
		: matched(rules->rules.size()), list_(std::move(rules))
	{
	}

	uint16_t lookup(const Context &c)
	{
		if (last_ == c.key) {
			cache_hits++;
			return last_rule_;
		}
		uint32_t destination = c.destination_host();
		const RuleList::Rule *rule = list_->rules.data();
		while ((destination & rule->mask) != rule->value) // ends: the last one matches everything
			rule++;
		last_ = c.key;
		last_rule_ = static_cast<uint16_t>(rule - list_->rules.data());
		scanned += last_rule_ + 1u;
		return last_rule_;
	}
	void apply(Context &c, uint16_t rule)
	{
		matched[rule]++;
		if (list_->deny[rule])
			c.verdict = verdict_denied;
	}
	void counters(Counters &out) const
	{
		out.emplace_back("firewallCacheHits", cache_hits);
		out.emplace_back("firewallScanned", scanned);
		out.emplace_back("firewallMatchAll", matched.back());
	}
	uint64_t cache_hits = 0, scanned = 0;
	std::vector<uint64_t> matched; // packets by rule

private:
	std::shared_ptr<const RuleList> list_;
	Ipv4Tuple last_{};
	uint16_t last_rule_ = 0;
};

class Nat {
public:
	Nat(uint32_t capacity, uint32_t core, uint64_t seed)
		: table_(capacity), ports_(core, capacity), seed_(seed)
	{
	}

	uint32_t lookup(const Context &c) { return c.has_ports() ? find_or_map(c.key) : table_.none; }
	void apply(Context &c, uint32_t flow)
	{
		if (!c.has_ports()) { // nothing to rewrite but the address, which needs the ports
			if (c.layer4 == layer4_icmp_error)
				icmp_errors_ += translate_icmp_error(c, ports_, [this](const Ipv4Tuple &key) {
					uint32_t i = table_.find(key, hash_key(key, seed_));
					return i == table_.none ? nullptr : &table_.state(i);
				});
			return;
		}
		if (flow == table_.none)
			c.verdict = verdict_table_full;
		else
			rewrite(c, table_.state(flow));
	}
	void learn(const Ipv4Tuple &key, uint64_t, bool ports)
	{
		if (ports)
			find_or_map(key);
	}
	void counters(Counters &out) const
	{
		out.emplace_back("natFlows", table_.size());
		out.emplace_back("natIcmpErrors", icmp_errors_);
	}

private:
	uint32_t find_or_map(const Ipv4Tuple &key)
	{
		uint32_t before = table_.size();
		uint32_t flow = table_.find_or_insert(key, hash_key(key, seed_));
		if (table_.size() != before)
			table_.state(flow) = ports_.take(key);
		return flow;
	}

	ChainedTable<NatState> table_;
	PortPool ports_;
	uint64_t seed_;
	uint64_t icmp_errors_ = 0;
};

} // namespace reframer::nf::paper
