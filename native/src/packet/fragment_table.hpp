// The 5-tuple of every fragment, for counting flows in captures: the first fragment of a packet
// names the ports of the others. Not for the packet path, see fragment_flows.hpp.
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

	struct Flow {
		FlowKey tuple;    // five_tuple_of(), with the ports that the first fragment had
		FlowKey datagram; // of a fragment
		bool known;       // false: a later fragment, and no first one has come
	};
	Flow flow_of(const Headers &headers, const uint8_t *data)
	{
		Flow flow = {five_tuple_of(headers, data), {}, true};
		if (headers.fragment_version == 0)
			return flow;
		flow.datagram = datagram_key_of(headers, data);
		if (headers.fragment_offset == 0)
			entry_of(flow.datagram) = {flow.datagram, flow.tuple};
		else
			flow.known = look_up(flow);
		return flow;
	}

	// Once more for what was not known: true, and the tuple, when the first fragment has come since.
	bool look_up(Flow &flow)
	{
		const Entry &entry = entry_of(flow.datagram);
		if (entry.packet != flow.datagram)
			return false;
		flow.tuple = entry.tuple;
		return true;
	}

private:
	struct Entry {
		FlowKey packet{};
		FlowKey tuple{};
	};
	Entry &entry_of(const FlowKey &packet)
	{
		return entries[FlowKeyHash{}(packet) % entries.size()];
	}

	std::vector<Entry> entries;
};

} // namespace reframer::packet
