// Which flow a fragment belongs to: the first one of a datagram has the ports, the others follow it
// by (source, destination, protocol, id). Bounded memory, no allocation after init(): for the packet
// path.
//
// What order means. A receiver has a datagram when the last of its fragments has come. So whole
// packets, first fragments and those behind a first one are of the flow and keep its order; one that
// comes before its first cannot be known, waits as its datagram's own, and may not leave after its
// first. Then datagrams of a flow are complete in the order in which they were on arrival.
#pragma once

#include "packet/classify.hpp"
#include "packet/hash.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace reframer::packet {

// A fragment as classify() cannot say it.
struct Fragment {
	uint64_t datagram;  // keyed hash of what its fragments share
	uint32_t flow_hash; // first only: as classify() gives for whole packets
	uint32_t own_hash;  // of the datagram, while its flow is not known
	bool first;

	// As classify() has it, which knows of no other fragments.
	uint32_t hash_if_alone() const { return first ? flow_hash : own_hash; }
};

// Of a frame whose Digest has trait_fragment.
Fragment read_fragment(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                       uint64_t seed);

// A datagram of which a fragment has come.
struct Datagram {
	static constexpr uint32_t no_slot = UINT32_MAX;

	uint64_t key;
	uint64_t until;     // ns; then it is forgotten, 0: the entry is free
	uint32_t flow_hash; // when flow_known
	uint32_t waiting;   // the caller's: what waits for the first fragment, or no_slot
	bool flow_known;
};
static_assert(sizeof(Datagram) == 32);

class FragmentFlows {
public:
	// No receiver waits longer for the rest (RFC 8200, section 4.5; Linux: 30 s for IPv4). A complete
	// datagram is remembered as long, for the duplicates: where its id is used again before, its new
	// first fragment tells.
	static constexpr uint64_t remembered_ns = 60'000'000'000;
	static constexpr uint32_t ways = 4;

	// Sets fill unevenly: twice as many entries as datagrams, and some where packets are few.
	static constexpr uint32_t nb_entries_for(uint32_t nb_datagrams)
	{
		constexpr uint32_t least = 1024;
		return std::max(std::bit_ceil(nb_datagrams) * 2, least);
	}

	// `nb_entries`: a power of two, at least `ways`.
	void init(Datagram *storage, uint32_t nb_entries)
	{
		entries_ = storage;
		mask_ = nb_entries / ways - 1;
		for (uint32_t i = 0; i < nb_entries; i++)
			entries_[i] = {0, 0, 0, Datagram::no_slot, false};
	}

	// The entry of the fragment's datagram, made anew where there is none: the first of its set, which
	// is in the order of use. What is pushed out for it is first given to `evict`.
	template <typename Evict> Datagram &find(const Fragment &fragment, uint64_t now, Evict &&evict)
	{
		Datagram *const set = entries_ + (fragment.datagram & mask_) * ways;
		uint32_t way = 0;
		while (way < ways - 1 && set[way].key != fragment.datagram)
			way++;
		Datagram entry = set[way];
		if (entry.key != fragment.datagram || entry.until <= now) {
			if (entry.until != 0)
				evict(entry);
			entry = {fragment.datagram, 0, 0, Datagram::no_slot, false};
		}
		entry.until = now + remembered_ns;
		std::copy_backward(set, set + way, set + way + 1);
		set[0] = entry;
		return set[0];
	}

	static uint32_t own_hash(const Datagram &entry) { return static_cast<uint32_t>(entry.key); }

	// Is this the first fragment of another datagram, whose id was used before by `entry`? Those
	// behind the first may have come already, and be with that one's flow.
	static bool is_used_again(const Datagram &entry, const Fragment &fragment)
	{
		return fragment.first && entry.flow_known && entry.flow_hash != fragment.flow_hash;
	}

	// After the caller has looked at the entry: what this fragment tells for the next one.
	static void note(Datagram &entry, const Fragment &fragment)
	{
		if (!fragment.first)
			return;
		entry.flow_hash = fragment.flow_hash;
		entry.flow_known = true;
	}

private:
	Datagram *entries_ = nullptr;
	uint64_t mask_ = 0;
};

} // namespace reframer::packet
