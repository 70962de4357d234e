// A multi-queue port in virtual time: arrivals are hashed to buckets, the indirection table sends
// them to rings, a full ring drops and counts.
#pragma once

#include "base/random.hpp"
#include "traffic/flow_population.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace reframer::lab {

struct Arrival {
	uint64_t time_ns;
	uint32_t hash;
	uint32_t sequence;  // within the packets of one order class, among those that a ring took
	uint32_t order;     // order class
	uint32_t slot;      // entry of the table that decided, or rule
	uint64_t polled_ns; // when a core took it from its ring
	uint16_t polled_by; // that core
	uint16_t queued_by; // the core that put it behind others inside, or none
	uint32_t own_ns;    // service of its bucket's packets until it was polled
};

// Packets whose hashes agree in this many low bits must leave in order. It contains the bucket, so
// two flows of one class go the same way, and a table of all classes stays small. Where flows of a
// bucket part, more bits keep two flows of one class rare.
inline constexpr uint32_t order_bits = 20, flow_order_bits = 24;

class Ring {
public:
	explicit Ring(uint32_t depth) : slot(depth) {}
	uint32_t depth() const { return uint32_t(slot.size()); }
	uint32_t length() const { return tail - head; }
	bool full() const { return length() == slot.size(); }
	void push(const Arrival &a) { slot[tail++ % slot.size()] = a; }
	const Arrival &front() const { return slot[head % slot.size()]; }
	Arrival pop() { return slot[head++ % slot.size()]; }

private:
	std::vector<Arrival> slot;
	uint32_t head = 0, tail = 0;
};

// Packets of a flow population one by one: the packets that a flow has in a slice of time lie
// anywhere in it.
class ArrivalStream {
public:
	// `share(t)` in 0..1 thins the traffic: offered rate over time.
	ArrivalStream(const traffic::FlowPopulationProfile &profile, uint64_t seed, double share_low,
	              double share_period_seconds);

	const Arrival &peek()
	{
		while (at == slice.size())
			refill();
		return slice[at];
	}
	void drop_front() { at++; }
	// Packets in a span of time; the stream is used up by it.
	uint64_t count(uint64_t from_ns, uint64_t to_ns);

private:
	void refill();
	double share_at(double seconds) const;

	static constexpr uint64_t slice_ns = 10'000'000;
	traffic::FlowPopulation population;
	double share_low, share_period;
	base::Random random;
	uint64_t slice_start = 0;
	std::vector<Arrival> slice, scratch;
	size_t at = 0;
};

enum class Dispatch {
	table,    // RSS: the indirection table
	spray,    // per packet by hardware, as Sprayer does
	pooled,   // one ring, as deep as all together, for all cores: with that room nothing drops less
	shortest, // each packet to the shortest ring: no split with the rings' room does better
	software_packet, // a core of its own deals packets out in turn
	software_flow,   // ... new flows in turn
	software_load,   // ... new flows to the core that got the fewest packets lately
};

// One flow that an exact-match rule sends to a slot of its own, beyond the table's entries.
class FlowRules {
public:
	FlowRules(uint32_t entries) : hint(1u << 16), flow(2 * entries) {}
	uint32_t slot(uint32_t hash) const
	{
		const uint16_t at = hint[hash & 0xffff];
		return at != 0 && flow[at] == hash ? at : 0;
	}
	// False when another rule has these hint bits.
	bool add(uint32_t hash, uint32_t at)
	{
		if (hint[hash & 0xffff] != 0)
			return false;
		hint[hash & 0xffff] = uint16_t(at);
		flow[at] = hash;
		return true;
	}
	void remove(uint32_t hash) { hint[hash & 0xffff] = 0; }

private:
	std::vector<uint16_t> hint; // by low bits of the hash; 0: none
	std::vector<uint32_t> flow; // by slot
};

class RssPort {
public:
	// `table`: twice as many slots as entries; the upper half is for rules.
	RssPort(ArrivalStream stream, std::vector<uint16_t> table, uint32_t nb_queues, uint32_t depth,
	        Dispatch dispatch, double dispatch_ns);

	static constexpr uint16_t no_core = UINT16_MAX;
	struct Wake {
		uint16_t core = no_core;
		uint64_t at_ns = 0;
	};

	// Everything that arrives until `now_ns` is in its ring or dropped; but not beyond a packet for the
	// ring of a core that sleeps, which is awake then.
	Wake run_until(uint64_t now_ns)
	{
		if (dispatch >= Dispatch::software_packet)
			return run_software(now_ns);
		for (;;) {
			Arrival a = stream.peek();
			if (a.time_ns > now_ns)
				return {};
			stream.drop_front();
			if (next_write < writes.size())
				write_until(a.time_ns);
			const uint16_t woken = receive(a, queue_of(a));
			if (woken != no_core)
				return {woken, a.time_ns};
		}
	}
	// A core with nothing to do, until something comes for it.
	void sleep(uint16_t core)
	{
		nb_asleep += !asleep[core];
		asleep[core] = 1;
	}
	void wake(uint16_t core)
	{
		nb_asleep -= asleep[core];
		asleep[core] = 0;
	}
	bool sleeps(uint16_t core) const { return asleep[core]; }
	uint32_t sleepers() const { return nb_asleep; }

	// Entries change one by one until `end_ns`, or, with `pause`, all at once while nothing is received.
	void write(const std::vector<std::pair<uint32_t, uint16_t>> &entries, uint64_t now_ns,
	           uint64_t took_ns, bool pause);
	bool writing(uint64_t now_ns) const { return now_ns < write_end_ns; }

	std::vector<uint16_t> table;
	FlowRules rules;
	const Dispatch dispatch;
	const uint32_t class_bits;
	uint64_t offered = 0, lost_to_writes = 0;

private:
	uint32_t slot_of(Arrival &a) const
	{
		a.slot = rules.slot(a.hash);
		a.order = (1u << class_bits) + a.slot;
		if (a.slot == 0) {
			a.slot = a.hash & (nb_entries - 1);
			a.order = a.hash & ((1u << class_bits) - 1);
		}
		return a.slot;
	}
	uint16_t queue_of(Arrival &a) const
	{
		switch (dispatch) {
		case Dispatch::spray:
			return uint16_t(offered % rings.size());
		case Dispatch::pooled:
			return 0;
		case Dispatch::shortest:
			return shortest_ring();
		default:
			return table[slot_of(a)];
		}
	}
	// Of rings of one length the first from a place that moves on: no core gets all of the ties.
	uint16_t shortest_ring() const
	{
		size_t best = offered % rings.size();
		for (size_t i = 1; i < rings.size() && rings[best].length() > 0; i++) {
			const size_t at = (offered + i) % rings.size();
			if (rings[at].length() < rings[best].length())
				best = at;
		}
		return uint16_t(best);
	}
	// Returns the core that this wakes.
	uint16_t receive(Arrival &a, uint16_t queue)
	{
		offered++;
		if (dispatch != Dispatch::table && dispatch < Dispatch::software_packet)
			slot_of(a);
		arrived[a.slot]++;
		if (a.time_ns < blocked_until_ns) {
			dropped[queue]++;
			lost_to_writes++;
			return no_core;
		}
		if (rings[queue].full()) {
			dropped[queue]++;
			return no_core;
		}
		a.sequence = ++accepted[a.order];
		rings[queue].push(a);
		if (nb_asleep == 0)
			return no_core;
		const uint16_t core =
			dispatch == Dispatch::pooled
				? uint16_t(std::find(asleep.begin(), asleep.end(), 1) - asleep.begin())
				: queue;
		if (!asleep[core])
			return no_core;
		wake(core);
		return core;
	}
	Wake run_software(uint64_t now_ns);
	uint16_t choose(const Arrival &a);
	void write_until(uint64_t now_ns);

	ArrivalStream stream;
	const uint32_t nb_entries, depth;

	struct Write {
		uint64_t at_ns;
		uint32_t entry;
		uint16_t queue;
	};
	std::vector<Write> writes;
	size_t next_write = 0;
	uint64_t write_end_ns = 0, blocked_until_ns = 0;

	// The dispatching core: when it is free, what it knows of flows and of the queues' recent load.
	double dispatch_ns, free_ns = 0;
	std::vector<uint16_t> flow_queue; // by flow class; nb_queues: none yet
	std::vector<uint64_t> recent;
	uint64_t recent_since_ns = 0, turn = 0;
	std::vector<uint8_t> asleep; // by core
	uint32_t nb_asleep = 0;

public:
	std::vector<Ring> rings;
	std::vector<uint32_t> accepted; // by order class
	std::vector<uint64_t> dropped;  // by queue
	std::vector<uint64_t> arrived;  // by slot
};

} // namespace reframer::lab
