// Did the packets of each flow leave in the order in which they came? Independent of what they were
// grouped by: a flow is addresses, protocol, and ports where there are any (or the SPI); fragments
// are in order among those of their datagram, and in the flow once the first of them has come.
#pragma once

#include "lab/captures/order_check.hpp"
#include "packet/flow_key.hpp"
#include "packet/parse.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

namespace reframer::lab {

class FlowOrder {
public:
	struct Ticket {
		std::optional<OrderCheck::Ticket> flow, datagram;
		uint64_t first_of = 0; // the datagram whose first fragment this is
	};

	explicit FlowOrder(size_t expected_inside) : order_(expected_inside) {}

	Ticket enter(const packet::Headers &headers, const uint8_t *data)
	{
		Ticket ticket;
		if (headers.fragment_version == 0) {
			ticket.flow = order_.enter(hash_of(packet::flow_key_of(headers, data)));
			return ticket;
		}
		const uint64_t datagram = hash_of(packet::datagram_key_of(headers, data));
		ticket.datagram = order_.enter(datagram);
		if (headers.fragment_offset == 0) {
			First &first = firsts_[datagram];
			first.flow = hash_of(packet::flow_key_of(headers, data));
			first.inside++;
			ticket.first_of = datagram;
			ticket.flow = order_.enter(first.flow);
		} else if (const auto first = firsts_.find(datagram); first != firsts_.end()) {
			ticket.flow = order_.enter(first->second.flow);
		}
		return ticket;
	}

	void leave(const Ticket &ticket)
	{
		if (ticket.flow)
			order_.leave(*ticket.flow);
		if (ticket.datagram)
			order_.leave(*ticket.datagram);
		if (ticket.first_of == 0)
			return;
		const auto first = firsts_.find(ticket.first_of);
		if (--first->second.inside == 0)
			firsts_.erase(first);
	}

	uint64_t nb_reordered() const { return order_.nb_reordered(); }

private:
	// A first fragment that has not left: those behind it are of its flow. Of one that has left
	// the id may be in use again.
	struct First {
		uint64_t flow;
		uint32_t inside;
	};

	static uint64_t hash_of(const packet::FlowKey &key) { return packet::FlowKeyHash{}(key); }

	OrderCheck order_;
	std::unordered_map<uint64_t, First> firsts_; // by datagram
};

} // namespace reframer::lab
