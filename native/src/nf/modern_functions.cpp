#include "nf/modern_functions.hpp"

#include <algorithm>
#include <bit>

namespace reframer::nf::modern {

Trie::Trie(const std::vector<Prefix> &routes) : nodes_(1u << 16, 0)
{
	// Shorter prefixes first: a longer one then overwrites its part of them.
	std::vector<Prefix> order = routes;
	std::stable_sort(order.begin(), order.end(),
	                 [](const Prefix &a, const Prefix &b) { return a.mask < b.mask; });
	for (const Prefix &route : order)
		insert(route);
}

// Overwrites an entry and everything below it.
void Trie::fill(uint32_t at, uint32_t value)
{
	if (!(nodes_[at] & is_node)) {
		nodes_[at] = value;
		return;
	}
	uint32_t node = nodes_[at] & ~is_node;
	for (uint32_t i = 0; i < 256; i++)
		fill(node + i, value);
}

uint32_t Trie::child(uint32_t at)
{
	if (nodes_[at] & is_node)
		return nodes_[at] & ~is_node;
	uint32_t value = nodes_[at], node = static_cast<uint32_t>(nodes_.size());
	nodes_.resize(nodes_.size() + 256, value);
	nodes_[at] = node | is_node;
	return node;
}

void Trie::insert(const Prefix &route)
{
	uint32_t length = route.length(), width = 16, first = route.value >> 16;
	if (length > 16) {
		first = child(first) + (route.value >> 8 & 255);
		width = 24;
	}
	if (length > 24) {
		first = child(first) + (route.value & 255);
		width = 32;
	}
	for (uint32_t i = 0; i < 1u << (width - length); i++)
		fill(first + i, route.result);
}

RuleSet::RuleSet(const std::vector<Prefix> &rules) : bitmap_((1u << bitmap_bits) / 64)
{
	uint32_t slots = std::bit_ceil(static_cast<uint32_t>(std::max<size_t>(rules.size() * 2, 16)));
	slots_ = base::Region<Slot>(slots);
	mask_ = slots - 1;
	shift_ = 64 - std::countr_zero(slots);
	for (const Prefix &r : rules) {
		deny_.push_back(r.deny);
		uint8_t length = r.length();
		auto tuple = std::find_if(tuples_.begin(), tuples_.end(),
		                          [&](const Tuple &t) { return t.length == length; });
		if (tuple == tuples_.end())
			tuples_.push_back({r.mask, r.result, length}); // in the order of the list: by `best`
		uint64_t h = hash(r.value, length), bit = h >> (64 - bitmap_bits);
		bitmap_[bit / 64] |= uint64_t{1} << (bit % 64);
		uint32_t i = static_cast<uint32_t>(h >> shift_);
		while (slots_[i].length_plus_one &&
		       (slots_[i].value != r.value || slots_[i].length_plus_one != length + 1))
			i = (i + 1) & mask_;
		if (!slots_[i].length_plus_one) // a repeated prefix: the first one counts
			slots_[i] = {r.value, r.result, static_cast<uint8_t>(length + 1), 0};
	}
}

uint16_t RuleSet::find(uint32_t destination) const
{
	uint16_t found = 0xffff;
	for (const Tuple &t : tuples_) {
		if (t.best > found)
			break;
		uint32_t value = destination & t.mask;
		uint64_t h = hash(value, t.length);
		if (!may_hold(h)) [[likely]]
			continue;
		for (uint32_t i = static_cast<uint32_t>(h >> shift_); slots_[i].length_plus_one;
		     i = (i + 1) & mask_) {
			if (slots_[i].value == value && slots_[i].length_plus_one == t.length + 1) {
				found = std::min(found, slots_[i].rule);
				break;
			}
		}
	}
	return found;
}

} // namespace reframer::nf::modern
