// ICMP errors through NAT (RFC 5508, section 4): the packet that an error quotes was translated, so
// the quote is translated back, or its sender could not tell which connection is meant.
#pragma once

#include "nf/nat.hpp"

namespace reframer::nf {

// Writes 16-bit words of an ICMP message and keeps count of what they change in its checksum.
class QuoteEditor {
public:
	void put16(uint8_t *field, uint16_t value)
	{
		change_ += change16(load16(field), value);
		store16(field, value);
	}
	void put32(uint8_t *field, uint32_t value)
	{
		change_ += change32(load32(field), value);
		store32(field, value);
	}
	void adjust(uint8_t *checksum, uint16_t change)
	{
		uint16_t before = load16(checksum);
		update_checksum(checksum, change);
		change_ += change16(before, load16(checksum));
	}
	uint16_t change() const { return fold(change_); }

private:
	uint32_t change_ = 0; // a dozen words: far from overflow
};

// `find` gives the translation of a flow from inside (const NatState *, null where there is none).
// Returns whether the error was about a translated flow; others stay as they are.
template <typename Find> bool translate_icmp_error(Context &c, const PortPool &ports, Find find)
{
	uint8_t *const ip = c.ip();
	uint8_t *const icmp = c.mbuf->data() + c.l4;
	// What is quoted is cut short and has no link: the parser's careful answers are of no use here.
	uint8_t *const quoted = icmp + 8;
	const uint8_t *const end = c.mbuf->data() + c.mbuf->captured;
	const uint32_t header = (quoted[0] & 15u) * 4;
	uint8_t *const l4 = quoted + header;
	// Eight bytes of TCP or UDP are what every error quotes (RFC 792); only a first fragment has ports.
	if (quoted[0] >> 4 != 4 || header < 20 || l4 + 8 > end || (quoted[9] != 6 && quoted[9] != 17) ||
	    (load16(quoted + 6) & __builtin_bswap16(0x1fff)) != 0)
		return false;
	uint8_t *const l4_sum = quoted[9] == 6 ? l4 + 16 : l4 + 6;
	const bool has_sum = l4_sum + 2 <= end && (quoted[9] == 6 || load16(l4_sum) != 0);

	QuoteEditor edit;
	auto rewrite_quote = [&](uint32_t field, uint32_t port_field, uint32_t address, uint16_t port) {
		uint32_t moved = change32(load32(quoted + field), address);
		uint32_t both = moved + change16(load16(l4 + port_field), port);
		edit.put32(quoted + field, address);
		edit.adjust(quoted + 10, fold(moved));
		edit.put16(l4 + port_field, port);
		if (!has_sum)
			return;
		edit.adjust(l4_sum, fold(both));
		if (quoted[9] == 17 && load16(l4_sum) == 0)
			edit.put16(l4_sum, 0xffff);
	};
	auto rewrite_outer = [&](uint32_t field, uint32_t address) {
		update_checksum(ip + 10, fold(change32(load32(ip + field), address)));
		store32(ip + field, address);
	};

	Ipv4Tuple key{};
	key.protocol = quoted[9];
	key.used = 1;
	if (const Ipv4Tuple *inside = ports.owner(load32(quoted + 12), load16(l4));
	    inside && inside->destination == load32(quoted + 16) &&
	    inside->destination_port == load16(l4 + 2) && inside->protocol == quoted[9]) {
		// From outside, about a packet that we sent out: back to who really sent it.
		rewrite_outer(16, inside->source);
		rewrite_quote(12, 0, inside->source, inside->source_port);
	} else {
		// From inside, about a packet that came to one of our flows.
		key.source = load32(quoted + 16);
		key.destination = load32(quoted + 12);
		key.source_port = load16(l4 + 2);
		key.destination_port = load16(l4);
		const NatState *s = find(key);
		if (!s)
			return false;
		rewrite_outer(12, s->address);
		rewrite_quote(16, 2, s->address, s->port);
	}
	update_checksum(icmp + 2, edit.change());
	return true;
}

} // namespace reframer::nf
