#include "lab/captures/flow_table.hpp"

#include <algorithm>
#include <bit>

namespace reframer::lab {

void FlowTable::add_chunk()
{
	// Flows are visited at random: with small pages every visit would miss the TLB too.
	constexpr size_t bytes = chunk_entries * sizeof(FlowEntry);
	static_assert(bytes % base::huge_page == 0);
	if (!chunks_.emplace_back().map(bytes))
		throw std::bad_alloc();
}

void DistinctCounter::add(uint64_t hash)
{
	// Flow hashes are good enough for a table; here every bit counts.
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93;
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93;
	hash ^= hash >> 32;
	uint8_t &rank = rank_[hash >> (64 - index_bits)];
	const auto zeros = std::countl_zero(hash << index_bits | 1ull << (index_bits - 1));
	rank = std::max<uint8_t>(rank, static_cast<uint8_t>(zeros + 1));
}

} // namespace reframer::lab
