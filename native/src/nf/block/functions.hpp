// What a chain's functions are to it. A function has
//   State                          its slice of the flow block; all zero in a new flow
//   process(run, packets, slice, now)   works on a run: counts, decides, adds to what is written
//   digest(slice) static           a number of what the slice holds, 0 where it is new, for checks
// and may have
//   translates                     packets are written
//   both_directions                needs one block for both directions of a connection
//   prefetch(slice)                asks for lines that the slice leads to
//   inbound(key)                   turns the key of a packet that came to a translated address into
//                                  that of its flow; whether it was one
//   quoted(run, packets, find)     the run is an ICMP error; find(key) gives this function's slice
//                                  of another flow, NULL where there is none
//   ended(key, slice)              the flow's block leaves
//   timeouts(params)               wants timeout classes of its own
#pragma once

#include "nf/block/layout.hpp"
#include "nf/block/run.hpp"
#include "nf/chain.hpp"
#include "reframer/conntrack.h"

namespace reframer::nf::block {

template <typename F> constexpr bool is_translating = requires
{
	F::translates;
};
template <typename F> constexpr bool is_bidirectional = requires
{
	F::both_directions;
};
template <typename F>
concept Prefetches = requires(F &f, const typename F::State &s)
{
	f.prefetch(s);
};
template <typename F>
concept TurnsInbound = requires(F &f, Ipv4Tuple &key)
{
	f.inbound(key);
};
template <typename F>
concept TranslatesQuotes = requires(F &f, Run &run, Packets &packets)
{
	f.quoted(run, packets, [](const Ipv4Tuple &) -> const typename F::State * { return nullptr; });
};
template <typename F>
concept SeesEnds = requires(F &f, const Ipv4Tuple &key, typename F::State &s)
{
	f.ended(key, s);
};
template <typename F>
concept HasTimeouts = requires(F &f, conntrack_params &p)
{
	f.timeouts(p);
};

// Packets and bytes of each flow.
class FlowCounter {
public:
	struct State {
		uint64_t packets, bytes;
	};
	void process(Run &run, Packets &, State &s, uint64_t)
	{
		s.packets += run.alive;
		s.bytes += run.bytes;
	}
	static uint64_t digest(const State &s) { return s.packets * 0x9e3779b97f4a7c15 + s.bytes; }
	void ended(const Ipv4Tuple &, const State &s)
	{
		ended_packets += s.packets;
		ended_bytes += s.bytes;
	}
	// Of flows that are over.
	uint64_t ended_packets = 0, ended_bytes = 0;
};

// Holds each flow to a rate by a token bucket; what exceeds it is dropped. The bucket is kept as
// the time at which it will be full again (GCRA), one word that needs no refill.
class RateLimiter {
public:
	struct State {
		uint64_t full_at; // ns << fraction
	};
	// `bytes_per_second` for each flow, 1000 to 10^11; `burst_bytes`: size of the bucket.
	RateLimiter(uint64_t bytes_per_second, uint64_t burst_bytes)
		: cost_((1'000'000'000ull << fraction) / bytes_per_second), most_(burst_bytes * cost_)
	{
	}
	void process(Run &run, Packets &packets, State &s, uint64_t now_ns)
	{
		const uint64_t now = now_ns << fraction;
		uint64_t full = std::max(s.full_at, now);
		// Whole runs fit nearly always, and then each packet does.
		if (const uint64_t after = full + run.bytes * cost_; after - now <= most_) [[likely]] {
			s.full_at = after;
			return;
		}
		packets.each(run, [&](uint32_t i) {
			const uint64_t after = full + packets.mbuf[i]->wire * cost_;
			if (after - now <= most_)
				full = after;
			else
				packets.drop(run, i, verdict_denied);
		});
		s.full_at = full;
	}
	static uint64_t digest(const State &s) { return s.full_at; }

private:
	// Bits of a nanosecond: a rate is met to a thousandth at 10 Gbps, and the clock wraps after 208
	// days.
	static constexpr unsigned fraction = 10;
	uint64_t cost_, most_; // of a byte; of a full bucket
};

} // namespace reframer::nf::block
