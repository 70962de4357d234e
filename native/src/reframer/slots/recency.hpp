// Was this flow seen lately? A set-associative cache of fingerprints, so memory is bounded and a
// new flow costs one line. It forgets the flow of a set that has gone unseen longest; a shared
// fingerprint (2^-16 a way) makes a new flow look known, which only lets it wait.
#pragma once

#include <bit>
#include <cstdint>

namespace reframer::stage {

class Recency {
public:
	static constexpr uint32_t ways = 32; // 64 bytes

	// 16 flows for every packet that may be held, at least 64 Ki (128 KiB): of the campus traces'
	// 200-500 flows active at a time none is forgotten.
	static uint32_t nb_sets_for(uint32_t max_packets)
	{
		const uint32_t flows = max_packets * 16 < (1u << 16) ? 1u << 16 : max_packets * 16;
		return std::bit_ceil(flows / ways);
	}

	void init(uint16_t *storage, uint32_t nb_sets)
	{
		sets_ = storage;
		mask_ = nb_sets - 1;
	}

	// True if the flow was not known; it is now. `spread` is a keyed 64-bit hash.
	bool see(uint64_t spread)
	{
		uint16_t *set = sets_ + (spread & mask_) * ways;
		const auto tag = static_cast<uint16_t>((spread >> 32) | 1); // 0: empty
		uint32_t way = 0;
		while (way < ways && set[way] != tag)
			way++;
		const bool known = way < ways;
		if (!known)
			way = ways - 1;
		for (; way > 0; way--) // to the front: least recently seen last
			set[way] = set[way - 1];
		set[0] = tag;
		return !known;
	}

private:
	uint16_t *sets_ = nullptr;
	uint32_t mask_ = 0;
};

} // namespace reframer::stage
