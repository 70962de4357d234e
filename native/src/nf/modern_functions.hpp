// The same functions on structures that one would choose today: a multibit trie for routes, tuple
// space search for rules, open addressing for flows; the lines of coming packets are prefetched.
#pragma once

#include "base/region.hpp"
#include "nf/chain.hpp"
#include "nf/flow_hash.hpp"
#include "nf/nat_icmp.hpp"
#include "nf/open_table.hpp"
#include "nf/prefixes.hpp"
#include "nf/rewrite.hpp"

#include <memory>
#include <vector>

namespace reframer::nf::modern {

// Longest prefix match in at most three reads: 16 bits, then 8, then 8. DPDK's rte_fib and rte_lpm
// would do, but only the DPDK library may need DPDK; DIR-24-8's first level of 2^24 entries would
// leave the caches for a hundred routes, this one is 256 KiB.
class Trie {
public:
	explicit Trie(const std::vector<Prefix> &routes);

	uint16_t find(uint32_t address) const
	{
		uint32_t e = nodes_[address >> 16];
		if (e & is_node)
			e = nodes_[(e & ~is_node) + (address >> 8 & 255)];
		if (e & is_node)
			e = nodes_[(e & ~is_node) + (address & 255)];
		return static_cast<uint16_t>(e);
	}
	void prefetch(uint32_t address) const { __builtin_prefetch(&nodes_[address >> 16]); }

private:
	static constexpr uint32_t is_node = 1u << 31;
	void insert(const Prefix &route);
	void fill(uint32_t at, uint32_t value);
	uint32_t child(uint32_t at);

	std::vector<uint32_t> nodes_; // 2^16 entries of the root, then nodes of 256
};

class Router {
public:
	explicit Router(std::shared_ptr<const Trie> trie) : trie_(std::move(trie)) {}
	static constexpr bool forwards = true;
	void prefetch(const Context &c) const { trie_->prefetch(c.destination_host()); }
	void prepare(Context *const *leaders, uint32_t n, bool)
	{
		for (uint32_t i = 0; i < n; i++)
			leaders[i]->next_hop = trie_->find(leaders[i]->destination_host());
	}
	uint16_t lookup(const Context &c) { return c.next_hop; }
	void apply(Context &c, uint16_t hop) { forward(c, hop); }
	void plan(const Context &c, const RunLoad &, Rewrite &w) { w.forward(c.next_hop); }

private:
	std::shared_ptr<const Trie> trie_;
};

// Tuple space search: one probe for each prefix length that the rules use; the rule that comes
// first in the list wins. All tuples share one table, so that it stays in the second-level cache, and
// a bitmap of what is in it, which stays in the first and makes "nothing here" a branch that is
// predicted (without it nearly every probe cost a misprediction: 13 a packet).
class RuleSet {
public:
	explicit RuleSet(const std::vector<Prefix> &rules);
	uint16_t find(uint32_t destination) const;
	bool deny(uint16_t rule) const { return deny_[rule]; }
	size_t size() const { return deny_.size(); }

private:
	struct Slot {
		uint32_t value;
		uint16_t rule;
		uint8_t length_plus_one; // 0: empty
		uint8_t zero;
	};
	static_assert(sizeof(Slot) == 8);
	static uint64_t hash(uint32_t value, uint8_t length)
	{
		return (value | uint64_t{length} << 32) * 0x9e3779b97f4a7c15;
	}
	static constexpr int bitmap_bits = 18; // 32 KiB: one bit in 22 is set by 11,745 rules
	bool may_hold(uint64_t h) const
	{
		uint64_t bit = h >> (64 - bitmap_bits);
		return bitmap_[bit / 64] >> (bit % 64) & 1;
	}

	std::vector<uint64_t> bitmap_;
	base::Region<Slot> slots_; // on huge pages: a search touches up to 17 of them
	struct Tuple {
		uint32_t mask;
		uint16_t best; // lowest rule of this length: a lower match elsewhere ends the search
		uint8_t length;
	};
	std::vector<Tuple> tuples_; // by `best`
	std::vector<uint8_t> deny_;
	int shift_ = 0;
	uint32_t mask_ = 0;
};

class Firewall {
public:
	explicit Firewall(std::shared_ptr<const RuleSet> rules)
		: matched(rules->size()), rules_(std::move(rules))
	{
	}
	void prepare(Context *const *leaders, uint32_t n, bool)
	{
		for (uint32_t i = 0; i < n; i++)
			leaders[i]->prepared = rules_->find(leaders[i]->destination_host());
	}
	uint16_t lookup(const Context &c) { return c.prepared; }
	void apply(Context &c, uint16_t rule)
	{
		matched[rule]++;
		if (rules_->deny(rule))
			c.verdict = verdict_denied;
	}
	void plan(const Context &c, const RunLoad &load, Rewrite &w)
	{
		matched[c.prepared] += load.packets;
		if (rules_->deny(c.prepared))
			w.verdict = verdict_denied;
	}
	void counters(Counters &out) const { out.emplace_back("firewallMatchAll", matched.back()); }
	std::vector<uint64_t> matched;

private:
	std::shared_ptr<const RuleSet> rules_;
};

class Counter {
public:
	struct State {
		uint64_t packets, bytes;
	};
	static constexpr bool uses_hash = true, counts_every_packet = true;
	explicit Counter(uint32_t capacity) : table_(capacity) {}
	void prefetch(const Context &c) const { table_.prefetch(c.hash); }
	State *lookup(const Context &c)
	{
		bool created;
		return table_.find_or_insert(c.key, c.hash, created);
	}
	void apply(Context &c, State *s)
	{
		if (!s) {
			c.verdict = verdict_table_full;
			return;
		}
		s->packets++;
		s->bytes += c.mbuf->wire;
	}
	void plan(const Context &c, const RunLoad &load, Rewrite &w)
	{
		State *s = lookup(c);
		if (!s) {
			w.verdict = verdict_table_full;
			return;
		}
		s->packets += load.packets;
		s->bytes += load.bytes;
	}
	void learn(const Ipv4Tuple &key, uint64_t hash, bool)
	{
		bool created;
		table_.find_or_insert(key, hash, created);
	}
	template <typename Visitor> void each(Visitor visit) const
	{
		table_.each([&](const Ipv4Tuple &k, const State &s) { visit(k, s.packets, s.bytes); });
	}

private:
	OpenTable<State> table_;
};

class Nat {
public:
	static constexpr bool uses_hash = true, translates = true;
	Nat(uint32_t capacity, uint32_t core, uint64_t seed)
		: table_(capacity), ports_(core, capacity), seed_(seed)
	{
	}
	void prefetch(const Context &c) const { table_.prefetch(c.hash); }
	const NatState *lookup(const Context &c)
	{
		return c.has_ports() ? find_or_map(c.key, c.hash) : nullptr;
	}
	void apply(Context &c, const NatState *s)
	{
		if (s)
			rewrite(c, *s);
		else if (c.has_ports())
			c.verdict = verdict_table_full;
		else if (c.layer4 == layer4_icmp_error)
			icmp_errors_ += translate_icmp_error(c, ports_, [this](const Ipv4Tuple &key) {
				return table_.find(key, hash_key(key, seed_));
			});
	}
	void plan(const Context &c, const RunLoad &, Rewrite &w)
	{
		const NatState *s = find_or_map(c.key, c.hash); // a common frame has ports
		if (!s) {
			w.verdict = verdict_table_full;
			return;
		}
		w.to.source = s->address;
		w.to.source_port = s->port;
		w.ip_change += s->ip_change;
		w.l4_change += s->l4_change;
	}
	void learn(const Ipv4Tuple &key, uint64_t hash, bool ports)
	{
		if (ports)
			find_or_map(key, hash);
	}
	void counters(Counters &out) const
	{
		out.emplace_back("natFlows", table_.size());
		out.emplace_back("natIcmpErrors", icmp_errors_);
	}

private:
	const NatState *find_or_map(const Ipv4Tuple &key, uint64_t hash)
	{
		bool created;
		NatState *s = table_.find_or_insert(key, hash, created);
		if (created)
			*s = ports_.take(key);
		return s;
	}

	OpenTable<NatState> table_;
	PortPool ports_;
	uint64_t seed_;
	uint64_t icmp_errors_ = 0;
};

} // namespace reframer::nf::modern
