// A multi-queue port in virtual time: arrivals are hashed to buckets, the indirection table sends
// them to rings, a full ring drops and counts.
#pragma once

#include "traffic/flow_population.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace reframer::lab {

struct Arrival {
	uint64_t time_ns;
	uint32_t hash;
	uint32_t sequence; // within the packets of one order class, among those that a ring took
	uint64_t polled_ns;// when a core took it from its ring
};

// Packets whose hashes agree in this many low bits must leave in order. It contains the bucket, so
// two flows of one class go the same way, and a table of all classes stays small.
inline constexpr uint32_t order_bits = 20;

class Ring {
public:
	explicit Ring(uint32_t depth) : slot(depth) {}
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

private:
	void refill();
	uint64_t random();
	double share_at(double seconds) const;

	static constexpr uint64_t slice_ns = 10'000'000;
	traffic::FlowPopulation population;
	double share_low, share_period;
	uint64_t state;
	uint64_t slice_start = 0;
	std::vector<Arrival> slice, scratch;
	size_t at = 0;
};

class RssPort {
public:
	RssPort(ArrivalStream stream, std::vector<uint16_t> table, uint32_t nb_queues, uint32_t depth)
	    : table(std::move(table)), stream(std::move(stream)), rings(nb_queues, Ring(depth)),
	      accepted(size_t(1) << order_bits), dropped(nb_queues)
	{
	}

	// Everything that arrives until `now_ns` is in its ring or dropped.
	void run_until(uint64_t now_ns)
	{
		for (;;) {
			Arrival a = stream.peek();
			if (a.time_ns > now_ns)
				return;
			stream.drop_front();
			offered++;
			const uint16_t queue = spray ? uint16_t(offered % rings.size()) : table[a.hash & (table.size() - 1)];
			if (rings[queue].full()) {
				dropped[queue]++;
				continue;
			}
			a.sequence = ++accepted[a.hash & ((1u << order_bits) - 1)];
			rings[queue].push(a);
		}
	}
	uint64_t next_arrival() { return stream.peek().time_ns; }

	std::vector<uint16_t> table;
	bool spray = false; // per packet, as Sprayer does; no table
	uint64_t offered = 0;

private:
	ArrivalStream stream;

public:
	std::vector<Ring> rings;
	std::vector<uint32_t> accepted; // by order class
	std::vector<uint64_t> dropped;  // by queue
};

} // namespace reframer::lab
