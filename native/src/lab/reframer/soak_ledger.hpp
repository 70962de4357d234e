// What went in, and whether it may come out now. Handles are numbers of the ledger, so a packet
// costs a few array accesses.
#pragma once

#include "base/random.hpp"
#include "lab/reframer/soak.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace reframer::lab {

class Ledger {
public:
	Ledger(uint32_t nb_flows, uint32_t capacity, SoakCounts &counts)
		: entries(capacity), sent(nb_flows), seen(nb_flows), counts(counts)
	{
		free_list.reserve(capacity);
		for (uint32_t i = capacity; i > 0; i--)
			free_list.push_back(i - 1);
	}

	uint32_t room() const { return uint32_t(free_list.size()); }
	uint32_t inside() const { return uint32_t(entries.size() - free_list.size()); }

	// `latest`: time up to which it may be held. Handle 0 is never given: it would look like NULL.
	void *enter(uint32_t flow, uint64_t latest)
	{
		const uint32_t id = free_list.back();
		free_list.pop_back();
		entries[id] = {flow, ++sent[flow], latest, true};
		return reinterpret_cast<void *>(uintptr_t(id) + 1);
	}
	uint32_t flow_of(void *handle) const
	{
		return entries[reinterpret_cast<uintptr_t>(handle) - 1].flow;
	}
	// The packet has just come to where its waiting begins.
	void starts_waiting(void *handle, uint64_t latest)
	{
		entries[reinterpret_cast<uintptr_t>(handle) - 1].latest = latest;
	}

	// Released. `served_until`: time of the last poll that gave out all that was due; a packet that
	// came at that very time may have come after it.
	void leave(void *handle, uint64_t served_until, bool in_order)
	{
		const Entry *e = take_out(handle);
		if (!e)
			return;
		uint64_t &last = seen[e->flow];
		if (in_order && e->sequence <= last)
			counts.reordered++;
		last = std::max(last, e->sequence);
		if (served_until > e->latest)
			counts.over_held++;
	}

	// Taken out by ACK thinning, perhaps before packets that came earlier are released.
	void thinned(void *handle)
	{
		if (take_out(handle))
			counts.thinned++;
	}

	void end() { counts.lost += inside(); }

private:
	struct Entry {
		uint32_t flow;
		uint64_t sequence;
		uint64_t latest;
		bool inside;
	};

	const Entry *take_out(void *handle)
	{
		const uintptr_t id = reinterpret_cast<uintptr_t>(handle) - 1;
		if (id >= entries.size() || !entries[id].inside) {
			counts.duplicated++;
			return nullptr;
		}
		entries[id].inside = false;
		free_list.push_back(uint32_t(id));
		return &entries[id];
	}

	std::vector<Entry> entries;
	std::vector<uint32_t> free_list;
	std::vector<uint64_t> sent, seen;
	SoakCounts &counts;
};

struct SoakRandom : base::Random {
	// Small values as often as large ones.
	uint32_t log_below(uint32_t n)
	{
		uint32_t bits = 1;
		while (bits < 31 && (1u << bits) < n)
			bits++;
		return below(std::min(n, 1u << (1 + below(bits))));
	}
};

} // namespace reframer::lab
