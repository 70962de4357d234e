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

#include <cstdint>

namespace reframer::packet {

// A fragment as classify() cannot say it.
struct Fragment {
	uint64_t datagram;       // keyed hash of what its fragments share
	uint32_t flow_hash;      // first only: as classify() gives for whole packets
	uint32_t own_hash;       // of the datagram, while its flow is not known
	uint32_t offset, length; // bytes of the datagram; a length of 0 is not known
	bool first, more;

	// As classify() has it, which knows of no other fragments.
	uint32_t hash_if_alone() const { return first ? flow_hash : own_hash; }
};

// Of a frame whose Digest has trait_fragment.
Fragment read_fragment(const uint8_t *data, uint32_t captured, LinkType link, KeyKind kind,
                       uint64_t seed);

// A datagram of which a fragment has come, and more are expected.
struct Datagram {
	static constexpr uint32_t no_slot = UINT32_MAX;

	uint64_t key;
	uint64_t until;                      // ns; then it is forgotten, 0: the entry is free
	uint32_t flow_hash;                  // when flow_known
	uint32_t seen;                       // bytes
	uint32_t total : 31, flow_known : 1; // total: bytes, 0 until the last fragment has come
	uint32_t waiting; // the caller's: what waits for the first fragment, or no_slot
};
static_assert(sizeof(Datagram) == 32);

class FragmentFlows {
public:
	// No receiver waits longer for the rest (RFC 8200, section 4.5; Linux: 30 s for IPv4).
	static constexpr uint64_t incomplete_ns = 60'000'000'000;
	// A complete one is still known to duplicates, which come close behind. Ids come around after
	// 65536 packets of a pair of hosts: below 65 Mpps from one pair that takes longer.
	static constexpr uint64_t complete_ns = 1'000'000;
	static constexpr uint32_t ways = 4;

	// `nb_entries`: a power of two, at least `ways`.
	void init(Datagram *storage, uint32_t nb_entries)
	{
		entries_ = storage;
		mask_ = nb_entries / ways - 1;
		for (uint32_t i = 0; i < nb_entries; i++)
			entries_[i] = {0, 0, 0, 0, 0, 0, Datagram::no_slot};
	}

	// The entry of the fragment's datagram, made anew where there is none. What is pushed out for it
	// is first given to `evict`, with all that it knows.
	template <typename Evict> Datagram &find(const Fragment &fragment, uint64_t now, Evict &&evict)
	{
		Datagram *set = entries_ + (fragment.datagram & mask_) * ways;
		Datagram *oldest = set;
		for (uint32_t way = 0; way < ways; way++) {
			Datagram &entry = set[way];
			if (entry.key == fragment.datagram && entry.until > now)
				return entry;
			if (entry.until < oldest->until)
				oldest = &entry;
		}
		if (oldest->until != 0)
			evict(*oldest);
		*oldest = {fragment.datagram, now + incomplete_ns, 0, 0, 0, 0, Datagram::no_slot};
		return *oldest;
	}

	static uint32_t own_hash(const Datagram &entry) { return static_cast<uint32_t>(entry.key); }

	// After the caller has looked at the entry: what this fragment tells for the next one.
	static void count(Datagram &entry, const Fragment &fragment, uint64_t now)
	{
		if (fragment.first) {
			// The id comes around: a new datagram, unless what is here waits for this one.
			if (entry.flow_known)
				entry.seen = entry.total = 0;
			entry.flow_hash = fragment.flow_hash;
			entry.flow_known = true;
			entry.until = now + incomplete_ns;
		}
		entry.seen += fragment.length;
		if (!fragment.more)
			entry.total = (fragment.offset + fragment.length) & 0x7fffffff;
		if (entry.flow_known && entry.total != 0 && entry.seen >= entry.total)
			entry.until = now + complete_ns;
	}

private:
	Datagram *entries_ = nullptr;
	uint64_t mask_ = 0;
};

} // namespace reframer::packet
