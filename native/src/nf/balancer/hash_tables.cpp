#include "nf/balancer/hash_tables.hpp"

#include "base/random.hpp"

#include <algorithm>

namespace reframer::balance {

namespace {

// Of the address and not of the id: every balancer orders the same servers in the same way.
uint64_t hash_of(const Server &server, uint64_t salt)
{
	return base::mix64(server.number() + (salt << 32) + 0x9e3779b97f4a7c15ull);
}

// Primes at least a hundred times the servers keep shares within a percent.
uint32_t table_size(size_t servers)
{
	for (const uint32_t prime : {4093u, 16381u, 65537u})
		if (servers * 100 <= prime)
			return prime;
	return 409'609;
}

} // namespace

void MaglevTable::build(const Pool &pool)
{
	struct Turn {
		uint64_t next, skip;
		uint32_t id, weight, credit;
	};
	table_.clear();
	const auto &active = pool.active();
	if (active.empty())
		return;
	const uint32_t size = table_size(active.size());
	std::vector<Turn> turns;
	uint32_t heaviest = 0;
	for (const uint32_t id : active) {
		const Server &s = pool[id];
		turns.push_back({hash_of(s, 1) % size, 1 + hash_of(s, 2) % (size - 1), id, s.weight, 0});
		heaviest = std::max(heaviest, s.weight);
	}
	// By address: who takes the first turn must not depend on ids.
	std::sort(turns.begin(), turns.end(), [&](const Turn &a, const Turn &b) {
		return pool[a.id].number() < pool[b.id].number();
	});
	constexpr uint16_t empty = UINT16_MAX;
	table_.assign(size, empty);
	for (uint32_t filled = 0; filled < size;)
		for (Turn &t : turns) {
			t.credit += t.weight;
			if (t.credit < heaviest)
				continue;
			t.credit -= heaviest;
			while (table_[t.next] != empty)
				t.next = (t.next + t.skip) % size;
			table_[t.next] = static_cast<uint16_t>(t.id);
			if (++filled == size)
				break;
		}
}

void HashRing::build(const Pool &pool)
{
	ring_.clear();
	for (const uint32_t id : pool.active())
		for (uint32_t p = 0; p < points * pool[id].weight; p++)
			ring_.push_back({static_cast<uint32_t>(hash_of(pool[id], 16 + p) >> 32), id});
	std::sort(ring_.begin(), ring_.end(), [&](const Point &a, const Point &b) {
		return a.at != b.at ? a.at < b.at : pool[a.id].number() < pool[b.id].number();
	});
}

uint32_t HashRing::find(uint64_t hash) const
{
	if (ring_.empty())
		return Pool::none;
	const auto at = static_cast<uint32_t>(hash >> 32);
	const auto next = std::lower_bound(ring_.begin(), ring_.end(), at,
	                                   [](const Point &p, uint32_t value) { return p.at < value; });
	return next == ring_.end() ? ring_.front().id : next->id;
}

} // namespace reframer::balance
