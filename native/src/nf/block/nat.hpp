// Source NAT on flow blocks, for both directions of a connection where the chain has them. A flow's
// endpoint goes back to the pool when its block leaves.
#pragma once

#include "nf/block/functions.hpp"
#include "nf/nat_icmp.hpp"

namespace reframer::nf::block {

class BlockNat {
public:
	using State = NatState;
	static constexpr bool translates = true;

	// `endpoints`: flows that are translated at a time, at most.
	BlockNat(uint32_t core, uint32_t endpoints) : ports_(core, endpoints, true) {}

	void process(Run &run, Packets &packets, State &s, uint64_t)
	{
		if (!run.has_ports())
			return;
		if (run.is_reply()) {
			// To the endpoint, which run.key no longer shows: back to who is behind it.
			if (s.port == 0) // translated by nobody: it came from outside first
				return;
			run.to.destination = run.key.destination;
			run.to.destination_port = run.key.destination_port;
			translate(run, fold(change32(s.address, run.key.destination)),
			          fold(change32(s.address, run.key.destination) +
			               change16(s.port, run.key.destination_port)));
			return;
		}
		if (s.port == 0) [[unlikely]] {
			if (ports_.empty()) {
				packets.drop_all(run, verdict_table_full);
				return;
			}
			s = ports_.take(run.key);
		}
		run.to.source = s.address;
		run.to.source_port = s.port;
		translate(run, s.ip_change, s.l4_change);
	}
	bool inbound(Ipv4Tuple &key) const
	{
		const Ipv4Tuple *inside = ports_.owner(key.destination, key.destination_port);
		if (!inside || inside->protocol != key.protocol)
			return false;
		key.destination = inside->source;
		key.destination_port = inside->source_port;
		return true;
	}
	template <typename Find> void quoted(Run &run, Packets &packets, Find find)
	{
		Context c;
		c.mbuf = packets.mbuf[run.first];
		c.l3 = run.l3;
		c.l4 = run.l4;
		if (!translate_icmp_error(c, ports_, find))
			return;
		icmp_errors++;
		// Written already: what is left to write is as it stands.
		std::memcpy(&run.to, c.ip() + 12, 8);
	}
	void ended(const Ipv4Tuple &, State &s)
	{
		if (s.port == 0)
			return;
		ports_.give_back(s);
		s = {};
	}
	static uint64_t digest(const State &s)
	{
		return (uint64_t{s.address} << 32 | uint64_t{s.port} << 16 | s.l4_change) +
		       (uint64_t{s.ip_change} << 48);
	}
	uint64_t icmp_errors = 0;

private:
	PortPool ports_;
};

} // namespace reframer::nf::block
