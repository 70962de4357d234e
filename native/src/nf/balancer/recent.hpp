// Small memories of the last minutes: sets of four entries, the oldest makes room. What is pushed out
// under a flood costs a guess and no memory.
#pragma once

#include <cstdint>
#include <vector>

namespace reframer::balance {

// From a keyed hash to a server: SYNs that may be sent again, first fragments.
class Recent {
public:
	static constexpr uint32_t ways = 4;

	// `entries`: a power of two, 16 bytes each. `life_ns`: as long as one counts.
	Recent(uint32_t entries, uint64_t life_ns)
		: entries_(entries), mask_(entries / ways - 1), life_ns_(life_ns)
	{
	}

	// UINT32_MAX where it is not there.
	uint32_t find(uint64_t hash, uint64_t now_ns) const
	{
		const Entry *set = &entries_[(hash & mask_) * ways];
		for (uint32_t way = 0; way < ways; way++)
			if (set[way].tag == tag(hash) && set[way].server != 0 &&
			    now_ns - set[way].at < life_ns_)
				return set[way].server - 1;
		return UINT32_MAX;
	}
	void put(uint64_t hash, uint32_t server, uint64_t now_ns)
	{
		Entry *set = &entries_[(hash & mask_) * ways], *oldest = set;
		for (uint32_t way = 0; way < ways; way++) {
			if (set[way].tag == tag(hash)) {
				oldest = &set[way];
				break;
			}
			if (set[way].at < oldest->at)
				oldest = &set[way];
		}
		*oldest = {now_ns, tag(hash), static_cast<uint16_t>(server + 1)};
	}

private:
	struct Entry {
		uint64_t at = 0; // ns
		uint32_t tag = 0;
		uint16_t server = 0; // and one; 0: free
	};
	static_assert(sizeof(Entry) == 16);
	static uint32_t tag(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

	std::vector<Entry> entries_;
	uint64_t mask_, life_ns_;
};

} // namespace reframer::balance
