// The 5-tuple of every fragment, for counting flows in captures: the first fragment of a packet
// names the ports of the others. Not for the packet path, see fragment_flows.hpp.
#pragma once

#include "packet/flow_key.hpp"

#include <cstddef>
#include <unordered_map>
#include <utility>

namespace reframer::packet {

class FragmentTable {
public:
	// Default: between two fragments of a packet lie no more other fragmented packets than that;
	// fewer gives late fragments a flow without ports. Up to twice as many are kept.
	explicit FragmentTable(size_t nb_packets = 1 << 16) : nb_packets(nb_packets) {}

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
			keep(flow);
		else
			flow.known = look_up(flow);
		return flow;
	}

	// Once more for what was not known: true, and the tuple, when the first fragment has come since.
	bool look_up(Flow &flow)
	{
		for (const auto *generation : {&young, &old})
			if (const auto found = generation->find(flow.datagram); found != generation->end()) {
				flow.tuple = found->second;
				return true;
			}
		return false;
	}

private:
	void keep(const Flow &flow)
	{
		if (young.size() == nb_packets)
			old = std::exchange(young, {});
		young[flow.datagram] = flow.tuple;
	}

	const size_t nb_packets;
	std::unordered_map<FlowKey, FlowKey> young, old; // tuples by datagram
};

} // namespace reframer::packet
