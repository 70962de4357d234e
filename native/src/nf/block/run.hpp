// Packets of one flow that came in a row, and what the functions of a chain make of them. A function
// says what changes in all of them, or drops some; each packet is written once, at the end.
#pragma once

#include "nf/checksum.hpp"

#include <algorithm>

namespace reframer::nf::block {

enum RunFlag : uint8_t {
	run_new = 1,   // the flow's block was made for this run
	run_reply = 2, // against the direction of the flow's first packet
};
constexpr uint8_t same_class = UINT8_MAX;

struct alignas(64) Run {
	Ipv4Tuple key;  // as the flow is known; as the packets came, unless NAT turned it round
	Ipv4Tuple to;   // addresses and ports of the packets as they leave
	uint64_t bytes; // on the wire, of packets that no function has dropped
	uint32_t ip_change, l4_change; // what functions add to the complements of the sums
	uint8_t first, count;          // of Packets
	uint8_t alive;                 // of them, those that no function has dropped
	uint8_t flags;                 // enum RunFlag
	uint16_t l3, l4;               // offsets into each frame
	uint8_t layer4;                // enum Layer4
	uint8_t timeout_class;         // to put the flow into; same_class: as it is

	bool has_ports() const { return layer4 == layer4_tcp || layer4 == layer4_udp; }
	bool is_reply() const { return flags & run_reply; }
};
static_assert(sizeof(Run) == 64);

// A burst as a chain takes it.
struct Packets {
	// Two bursts of a poll: their headers, runs and blocks fit the first-level cache together.
	static constexpr uint32_t most = 64;

	Mbuf *mbuf[most];
	uint8_t verdict[most];
	uint8_t run_of[most];
	uint32_t count = 0;

	void drop(Run &run, uint32_t i, Verdict why)
	{
		verdict[i] = why;
		run.alive--;
		run.bytes -= mbuf[i]->wire;
	}
	void drop_all(Run &run, Verdict why)
	{
		each(run, [&](uint32_t i) { drop(run, i, why); });
	}
	// Calls visit(i) for the packets of a run that are not dropped.
	template <typename Visit> void each(const Run &run, Visit visit)
	{
		for (uint32_t i = run.first; i < uint32_t{run.first} + run.count; i++)
			if (verdict[i] == verdict_pass)
				visit(i);
	}
};
static_assert(Packets::most <= UINT8_MAX);

// Another source or destination for all packets of a run; the ends' changes of the sums add up.
inline void translate(Run &run, uint16_t ip_change, uint16_t l4_change)
{
	run.ip_change += ip_change;
	run.l4_change += l4_change;
}

// The packet as its run says it leaves.
inline void write_packet(const Run &run, uint16_t ip_change, uint16_t l4_change, Mbuf *m)
{
	uint8_t *const ip = m->data() + run.l3, *const l4 = m->data() + run.l4;
	update_checksum(ip + 10, ip_change);
	std::memcpy(ip + 12, &run.to, 8);
	if (!run.has_ports()) [[unlikely]]
		return;
	std::memcpy(l4, &run.to.source_port, 4);
	const uint16_t udp = run.layer4 == layer4_udp ? 0xffff : 0;
	update_l4_checksum(l4 + 16 - (udp & 10), l4_change, udp);
}
static_assert(offsetof(Ipv4Tuple, destination) == 4 &&
              offsetof(Ipv4Tuple, source_port) == 8); // as in the frame

} // namespace reframer::nf::block
