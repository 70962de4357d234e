// Consistent hashing: which server a hash leads to, such that few hashes move when servers change.
#pragma once

#include "nf/balancer/pool.hpp"

#include <cstdint>
#include <vector>

namespace reframer::balance {

// Maglev (NSDI'16, section 3.4): each server fills the table in an order of its own. A server takes a
// turn as often as its weight says.
class MaglevTable {
public:
	void build(const Pool &pool);
	// Pool::none without servers.
	uint32_t find(uint64_t hash) const
	{
		return table_.empty() ? Pool::none
		                      : table_[((hash >> 32) * static_cast<uint64_t>(table_.size())) >> 32];
	}

private:
	std::vector<uint16_t> table_;
};

// A ring of points (Karger et al., STOC'97): the next point after the hash.
class HashRing {
public:
	static constexpr uint32_t points = 100; // a server and unit of weight

	void build(const Pool &pool);
	uint32_t find(uint64_t hash) const;

private:
	struct Point {
		uint32_t at, id;
	};
	std::vector<Point> ring_;
};

} // namespace reframer::balance
