// What a chain does to the packets of one flow, as one change: every function adds its part, then each
// packet is written once. One's complement sums may be added in any order and folded once, so the
// frames are bit for bit those of function after function.
#pragma once

#include "nf/checksum.hpp"
#include "nf/route.hpp"

namespace reframer::nf {

// Packets of a flow that came in a row.
struct RunLoad {
	uint32_t packets;
	uint64_t bytes; // on the wire
};

// Frames as nearly all are: Ethernet, IPv4 without options, TCP or UDP, whole, with hops left. Others
// are worked on one by one.
struct CommonFrame {
	static constexpr uint32_t l3 = 14, l4 = 34;

	// Whether `frame` is one; then `words` is its key.
	static bool read(const uint8_t *frame, uint32_t captured, uint64_t words[2])
	{
		constexpr uint32_t ethertype_version = 0x450008; // as three bytes lie: IPv4, five words
		const uint32_t middle = load32(frame + 20);      // fragment, TTL, protocol
		const uint32_t protocol = middle >> 24;
		const uint32_t shortest = protocol == 6 ? l4 + 20 : l4 + 8;
		std::memcpy(&words[0], frame + 26, 8);
		words[1] = uint64_t{protocol} << 32 | 1ull << 40 | load32(frame + l4);
		// One branch, nearly always taken: no short circuits.
		return ((load32(frame + 12) & 0xffffff) == ethertype_version) &
		       ((protocol == 6) | (protocol == 17)) & ((middle & __builtin_bswap16(0x3fff)) == 0) &
		       ((middle >> 16 & 0xff) > 1) & (captured >= shortest);
	}
};

struct alignas(64) Rewrite {
	Ipv4Tuple to; // addresses and ports of the frames that leave
	uint16_t next_hop;
	// What the functions add to the complements of the sums.
	uint32_t ip_change, l4_change;
	uint8_t verdict;
	bool one_by_one; // not a common frame: functions work on the packet itself
	bool special;    // dropped or one by one
	// Made of the above by close().
	uint16_t ip_sum_change, l4_sum_change;
	uint16_t l4_sum; // offset of TCP's or UDP's
	uint16_t udp;    // all ones where it is UDP's
	EthernetAddresses addresses;

	// Of a flow that nothing is done to. A leader with a packet stands for that packet alone.
	template <bool translates> void open(const Context &leader)
	{
		if constexpr (translates) {
			to = leader.key;
			udp = leader.layer4 == layer4_udp ? 0xffff : 0;
		}
		next_hop = 0;
		ip_change = l4_change = 0;
		verdict = leader.verdict;
		one_by_one = leader.mbuf != nullptr;
	}
	void forward(uint16_t hop)
	{
		next_hop = hop;
		// The TTL is the low byte of its word: one less, whatever it was.
		ip_change += change16(1, 0);
	}
	template <bool forwards, bool translates> void close()
	{
		special = one_by_one || verdict != verdict_pass;
		if constexpr (forwards || translates)
			ip_sum_change = fold(ip_change);
		if constexpr (translates) {
			l4_sum_change = fold(l4_change);
			l4_sum = static_cast<uint16_t>(CommonFrame::l4 + 16 - (udp & 10));
		}
		addresses = ethernet_addresses(next_hop);
	}

	// `forwards`: the TTL falls; `translates`: addresses and ports change.
	template <bool forwards, bool translates> void apply(Mbuf *m) const
	{
		uint8_t *const frame = m->data();
		write_ethernet(m, addresses, next_hop);
		if constexpr (forwards || translates) {
			uint32_t word = load32(frame + 22); // TTL, protocol, checksum
			const uint32_t sum = (~word >> 16) + ip_sum_change;
			word = (word & 0xffff) - forwards;
			store32(frame + 22, word | uint32_t{static_cast<uint16_t>(~fold(sum))} << 16);
		}
		if constexpr (translates) {
			std::memcpy(frame + 26, &to, 12); // without options the ports follow the addresses
			update_l4_checksum(frame + l4_sum, l4_sum_change, udp);
		}
	}
};
static_assert(sizeof(Rewrite) == 64);
static_assert(offsetof(Ipv4Tuple, destination) == 4 &&
              offsetof(Ipv4Tuple, destination_port) == 10); // as in the frame

} // namespace reframer::nf
