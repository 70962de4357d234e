// A port whose queues are driven step by step, for tests of the hand-over: every interleaving of the
// roles that a seed gives, on one thread.
#pragma once

#include "reframer/rsspp.h"
#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

namespace reframer::test {

inline constexpr uint32_t nb_flows = 600;

struct Packet {
	uint32_t flow;
	uint32_t sequence;
};

inline uint32_t hash_of(uint32_t flow)
{
	return flow * 2654435761u >> 7;
}

struct Handover {
	Handover(uint32_t buckets, uint32_t cores, uint32_t hold = 65536, uint32_t forward = 1024)
	{
		rsspp_handover_params p;
		rsspp_handover_default_params(&p);
		p.nb_buckets = buckets;
		p.nb_cores = cores;
		p.hold_capacity = hold;
		p.forward_capacity = forward;
		REQUIRE(rsspp_handover_create(&p, &h) == 0);
	}
	~Handover() { rsspp_handover_free(h); }
	rsspp_handover *h = nullptr;
};

inline uint64_t seed_of_run()
{
	static const uint64_t seed = reframer::test::seed_for("hand-over", 20190912);
	return seed;
}

// A port with one FIFO a core, driven step by step: every interleaving of the roles that a seed
// gives, moves included, on one thread.
struct Port {
	Port(uint64_t seed, uint32_t buckets, uint32_t cores, bool knows_length, uint32_t hold,
	     uint32_t forward = 1024)
		: rng(seed), handover(buckets, cores, hold, forward), buckets(buckets), cores(cores),
		  knows_length(knows_length), table(buckets), queue(cores), left(cores), received(cores),
		  next_sequence(nb_flows), expected(nb_flows)
	{
		for (uint32_t b = 0; b < buckets; b++)
			table[b] = uint16_t(b % cores);
	}

	void arrive()
	{
		const uint32_t flow = uint32_t(rng() % nb_flows);
		packets.push_back(std::make_unique<Packet>(Packet{flow, next_sequence[flow]++}));
		queue[table[hash_of(flow) % buckets]].push_back(packets.back().get());
	}

	// Whether an entry that was written is in force; the rest stays as it was (faults of a device).
	std::function<bool()> takes_write = [] { return true; };
	// Whether the caller takes the moves back whose entries were not written.
	bool takes_back = false;
	// Whether a bucket may move that the device sends elsewhere than to its owner.
	bool moves_misled = true;

	// Moves that were announced begin when their owners are ready, or this many calls later.
	int patience = 0;
	struct Announced {
		uint32_t bucket;
		uint16_t to;
		int patience;
	};
	std::vector<Announced> announced;
	uint64_t begun_ready = 0, begun_unready = 0;

	void move_prepared(std::vector<std::pair<uint32_t, uint16_t>> &moves)
	{
		for (int i = 0; i < 8; i++) {
			const uint32_t b = uint32_t(rng() % buckets);
			if (rsspp_handover_prepare(handover.h, b) == 0)
				announced.push_back({b, uint16_t(rng() % cores), patience});
		}
		std::erase_if(announced, [&](Announced &a) {
			const bool ready = rsspp_handover_prepared(handover.h, a.bucket);
			if (!ready && a.patience-- > 0)
				return false;
			if (a.to == rsspp_handover_owner(handover.h, a.bucket))
				a.to = uint16_t((a.to + 1) % cores);
			REQUIRE(rsspp_handover_begin(handover.h, a.bucket, a.to) == 0);
			(ready ? begun_ready : begun_unready)++;
			moves.push_back({a.bucket, a.to});
			return true;
		});
	}

	void move_some()
	{
		std::vector<std::pair<uint32_t, uint16_t>> moves;
		if (patience > 0)
			move_prepared(moves);
		if (one_way && rsspp_handover_in_progress(handover.h) > 0)
			return;
		const bool up = rng() % 2;
		for (int i = 0; i < 8 && patience == 0; i++) {
			const uint32_t b = uint32_t(rng() % buckets);
			const uint16_t to = uint16_t(rng() % cores);
			if (!moves_misled && rsspp_handover_owner(handover.h, b) != table[b])
				continue;
			if (one_way && (to > table[b]) != up)
				continue;
			if (rsspp_handover_begin(handover.h, b, to) == 0)
				moves.push_back({b, to});
		}
		// Packets go on arriving by the old table between begin and write.
		for (uint64_t n = rng() % 20; n > 0; n--)
			arrive();
		for (auto [b, to] : moves)
			if (takes_write())
				table[b] = to;
			else if (takes_back)
				REQUIRE(rsspp_handover_cancel(handover.h, b) == 0);
		rsspp_handover_written(handover.h);
	}

	// What the port says of its queue after a receive call.
	int64_t told_length(uint16_t core, bool nothing_came) const
	{
		const auto length = int64_t(queue[core].size() + left[core].size());
		if (knows_length)
			return length;
		return nothing_came && length == 0 ? RSSPP_QUEUE_EMPTY : RSSPP_QUEUE_UNKNOWN;
	}

	// Arrivals, moves and polls in any order, then all that is left comes out.
	void run(int steps, uint64_t most_arrivals, uint64_t steps_a_move)
	{
		for (int step = 0; step < steps; step++) {
			for (uint64_t n = rng() % most_arrivals; n > 0; n--)
				arrive();
			if (rng() % steps_a_move == 0)
				move_some();
			poll(uint16_t(rng() % cores));
		}
		int rounds = 0;
		while (!idle() && ++rounds < 100000)
			poll(uint16_t(rng() % cores));
		REQUIRE(idle());
		std::vector<uint64_t> counters(buckets);
		rsspp_handover_counters(handover.h, counters.data());
		REQUIRE(std::accumulate(counters.begin(), counters.end(), uint64_t{0}) == packets.size());
	}

	// As the documented loop: everything out of the queue without service.
	void drain(uint16_t core)
	{
		std::vector<uint16_t> leaving(buckets);
		while (rsspp_handover_draining(handover.h, core) ||
		       rsspp_handover_preparing(handover.h, core)) {
			std::vector<void *> in(left[core].begin(), left[core].end());
			left[core].clear();
			for (uint64_t n = in.empty() ? 1 + rng() % 32 : 0; n > 0 && !queue[core].empty(); n--) {
				in.push_back(queue[core].front());
				queue[core].pop_front();
			}
			std::vector<uint32_t> hashes;
			for (void *p : in)
				hashes.push_back(hash_of(static_cast<Packet *>(p)->flow));
			const uint32_t taken = rsspp_handover_absorb(handover.h, core, in.data(), hashes.data(),
			                                             uint32_t(in.size()));
			left[core].assign(in.begin() + taken, in.end());
			received[core] += taken;
			if (rsspp_handover_poll(handover.h, core, received[core], told_length(core, in.empty()),
			                        leaving.data()) > 0)
				rsspp_handover_release(handover.h, core);
			else if (in.empty() || taken < in.size() || rng() % 8 == 0)
				break;
		}
	}

	void poll(uint16_t core)
	{
		if (absorbs && rng() % 4 != 0)
			drain(core);
		std::vector<void *> in(left[core].begin(), left[core].end());
		left[core].clear();
		if (in.empty()) {
			for (uint64_t n = rng() % 33; n > 0 && !queue[core].empty(); n--) {
				in.push_back(queue[core].front());
				queue[core].pop_front();
			}
		}
		std::vector<uint32_t> hashes;
		for (void *p : in)
			hashes.push_back(hash_of(static_cast<Packet *>(p)->flow));
		const uint32_t room = 1 + uint32_t(rng() % 64);
		std::vector<void *> out(room);
		std::vector<uint32_t> out_hashes(room);
		uint32_t nb_out = 0;
		const uint32_t taken =
			rsspp_handover_admit(handover.h, core, in.data(), hashes.data(), uint32_t(in.size()),
		                         out.data(), out_hashes.data(), room, &nb_out);
		left[core].assign(in.begin() + taken, in.end());
		received[core] += taken;
		std::vector<uint16_t> gained(buckets);
		for (uint32_t n = rsspp_handover_gained(handover.h, core, gained.data()); n > 0; n--)
			REQUIRE(rsspp_handover_owner(handover.h, gained[n - 1]) == core);
		for (uint32_t i = 0; i < nb_out; i++) {
			const Packet *p = static_cast<Packet *>(out[i]);
			REQUIRE(rsspp_handover_owner(handover.h, hash_of(p->flow) % buckets) == core);
			REQUIRE(out_hashes[i] == hash_of(p->flow));
			if (in_order)
				REQUIRE(p->sequence == expected[p->flow]);
			expected[p->flow]++;
			processed++;
		}
		std::vector<uint16_t> leaving(buckets);
		if (rsspp_handover_poll(handover.h, core, received[core], told_length(core, in.empty()),
		                        leaving.data()) > 0)
			rsspp_handover_release(handover.h, core);
	}

	bool idle() const
	{
		for (uint32_t c = 0; c < cores; c++)
			if (!queue[c].empty() || !left[c].empty())
				return false;
		return processed == packets.size() && rsspp_handover_in_progress(handover.h) == 0;
	}

	std::mt19937_64 rng;
	Handover handover;
	uint32_t buckets, cores;
	bool knows_length;
	bool absorbs = false;
	// No core both gains and loses at a time: then cores never wait for each other in a ring, as they
	// may where memory is short.
	bool one_way = false;
	bool in_order = true; // what the device does leaves it possible
	std::vector<uint16_t> table;
	std::vector<std::deque<void *>> queue;
	std::vector<std::deque<void *>> left;
	std::vector<uint64_t> received;
	std::vector<uint32_t> next_sequence, expected;
	std::vector<std::unique_ptr<Packet>> packets;
	uint64_t processed = 0;
};

} // namespace reframer::test
