// The 5-tuple of every fragment, for counting flows in captures: the first fragment of a packet
// names the ports of the later ones. Not for the packet path: classify() needs no memory.
#pragma once

#include "packet/flow_key.hpp"

#include <cstddef>
#include <vector>

namespace reframer::packet {

class FragmentTable {
public:
	// Default: fragments of one packet lie closer together than this many fragmented packets; more
	// only costs memory (88 bytes an entry), fewer gives late fragments a flow without ports.
	explicit FragmentTable(size_t nb_entries = 4096) : entries(nb_entries) {}

	// five_tuple_of(), where it is known with the ports that the first fragment had.
	FlowKey flow_of(const Headers &headers, const uint8_t *data)
	{
		const FlowKey tuple = five_tuple_of(headers, data);
		if (!(headers.flags & header_fragment))
			return tuple;
		const FlowKey packet = flow_key_of(headers, data);
		Entry &entry = entries[FlowKeyHash{}(packet) % entries.size()];
		if (headers.fragment_offset == 0) {
			entry = {packet, tuple};
			return tuple;
		}
		return entry.packet == packet ? entry.tuple : tuple;
	}

private:
	struct Entry {
		FlowKey packet{};
		FlowKey tuple{};
	};
	std::vector<Entry> entries;
};

} // namespace reframer::packet
