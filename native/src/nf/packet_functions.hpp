// What of the paper's chain no run saves: work on each packet itself. The published sweep fits
// a + b / SLF cycles a packet with a of about 2,700 and b of about 4,600. What the other functions look
// up once a run is b; these two are most of a. The original spends its a elsewhere, in the elements
// and packet annotations of its framework: the chain has the shape of that cost, not its causes.
#pragma once

#include "nf/chain.hpp"
#include "nf/prefixes.hpp"
#include "packet/checksum.hpp"

#include <memory>
#include <vector>

namespace reframer::nf::paper {

// Checks the sums of header and datagram over all their bytes, as a host does whose NIC does not.
// Counts errors and lets them pass: captures made on the sender have no sums yet. What was cut, or is
// a fragment, cannot be checked.
class Checker {
public:
	struct Nothing {};
	Nothing lookup(const Context &) { return {}; }
	void apply(Context &c, Nothing)
	{
		const uint8_t *ip = c.ip(), *l4 = c.mbuf->data() + c.l4;
		header_errors_ += packet::checksum_ipv4(ip) != 0;
		const uint32_t header = c.l4 - c.l3, length = __builtin_bswap16(load16(ip + 2));
		const bool tcp = c.layer4 == layer4_tcp, udp = c.layer4 == layer4_udp;
		if ((!tcp && !udp) || length < header + 8 || c.l3 + length > c.mbuf->captured ||
		    (udp && load16(l4 + 6) == 0)) {
			unchecked_++;
			return;
		}
		errors_ += packet::checksum_l4(ip, ip[9], l4, length - header) != 0;
	}
	void counters(Counters &out) const
	{
		out.emplace_back("headerChecksumErrors", header_errors_);
		out.emplace_back("checksumErrors", errors_);
		out.emplace_back("checksumUnchecked", unchecked_);
	}

private:
	uint64_t header_errors_ = 0, errors_ = 0, unchecked_ = 0;
};

// A line of the packet filter: what it names differs from packet to packet of a flow, so no answer
// can be kept for the next one.
struct PacketRule {
	uint16_t shortest, longest; // of the IP datagram, both included
	uint8_t tos, tos_mask;
	uint8_t flags, flags_mask; // of TCP; 0 in what is not TCP
};
static_assert(sizeof(PacketRule) == 8);

// `n` lines about unusual packets, as filters against scans and misuse have them: combinations of TCP
// flags that no connection sends, or a class of service other than 0, in a range of lengths.
std::vector<PacketRule> make_packet_rules(uint32_t n, uint64_t seed);

// First match counts, as a line without a target: the packet goes on.
class PacketFilter {
public:
	explicit PacketFilter(std::shared_ptr<const std::vector<PacketRule>> rules)
		: matched(rules->size() + 1), rules_(std::move(rules))
	{
	}

	struct Nothing {};
	Nothing lookup(const Context &) { return {}; }
	void apply(Context &c, Nothing)
	{
		const uint8_t *ip = c.ip();
		const uint16_t length = __builtin_bswap16(load16(ip + 2));
		const uint8_t tos = ip[1];
		const uint8_t flags = c.layer4 == layer4_tcp ? c.mbuf->data()[c.l4 + 13] : 0;
		const std::vector<PacketRule> &rules = *rules_;
		size_t i = 0;
		for (; i < rules.size(); i++) {
			const PacketRule &r = rules[i];
			const bool fits = (length >= r.shortest) & (length <= r.longest) &
			                  ((tos & r.tos_mask) == r.tos) & ((flags & r.flags_mask) == r.flags);
			if (fits) [[unlikely]]
				break;
		}
		matched[i]++;
	}
	void counters(Counters &out) const
	{
		uint64_t sum = 0;
		for (size_t i = 0; i + 1 < matched.size(); i++)
			sum += matched[i];
		out.emplace_back("packetRulesMatched", sum);
	}
	std::vector<uint64_t> matched; // packets by line; the last one: by none

private:
	std::shared_ptr<const std::vector<PacketRule>> rules_;
};

} // namespace reframer::nf::paper
