// Reframer on one RX queue: mbufs in, mbufs out. Life of a burst: take() hands it to the stage, by what
// queue_headers.cpp reads of it; give() fills the same array with what is due.
#pragma once

#include "dpdk/clock.hpp"
#include "packet/classify.hpp"
#include "reframer/dpdk.h"
#include "reframer/passed.hpp"

#include <rte_mbuf.h>

#include <atomic>
#include <cstdint>

// The opaque type of dpdk.h. Fields behind `counters` are written by the polling core alone.
struct reframer_dpdk_queue {
	// 0 or negative errno.
	int init(uint16_t port_id, uint16_t queue_id, const reframer_dpdk_params &params);
	~reframer_dpdk_queue();

	uint16_t pass(rte_mbuf **packets, uint16_t nb, uint16_t room)
	{
		return pass(packets, nb, room, clock.now());
	}
	uint16_t pass(rte_mbuf **packets, uint16_t nb, uint16_t room, uint64_t now);
	// Times are the caller's from now on.
	void use_time(uint64_t now)
	{
		callers_time = true;
		callers_now = now;
	}
	uint32_t drain(rte_mbuf **packets, uint32_t room);
	uint32_t free_held();
	void stats(reframer_dpdk_stats &out) const;
	uint64_t now() const { return callers_time ? callers_now : clock.now(); }

	// Nothing is held, and bursts are left to the program as they are.
	bool passes() const { return passing; }

	uint16_t port = 0, queue = 0;
	reframer_stage *stage = nullptr;
	reframer_params stage_params = {};
	uint32_t nb_runs = 0;
	reframer_run runs[REFRAMER_DPDK_MAX_RUNS];

private:
	static constexpr uint32_t chunk = 64;
	// Bytes of a first segment that hold any header that the parser keys by, in practice: a shorter
	// one is copied together with what follows before it is hashed.
	static constexpr uint32_t whole_header = 192;
	static constexpr uint32_t copied_header = 2 * whole_header;
	// Reports of load to the adaptive controller; its epochs last 250 us and more.
	static constexpr uint64_t report_ns = 20'000;

	struct Output {
		rte_mbuf **packets;
		uint32_t room;
		uint32_t given = 0;
	};
	void take(rte_mbuf **packets, uint32_t nb, uint64_t now, Output &out);
	void take_chunk(rte_mbuf **packets, uint32_t nb, uint64_t now, Output &out,
	                rte_mbuf **consumed);
	void push(const reframer_burst &burst, uint64_t now, Output &out, rte_mbuf **consumed);
	void give(uint64_t now, uint32_t room, Output &out, bool all = false);
	static bool is_in_pieces(const rte_mbuf *packet);
	void take_plain(rte_mbuf **packets, uint32_t nb, uint64_t now, Output &out,
	                rte_mbuf **consumed);
	void push_headers(rte_mbuf **packets, uint32_t nb, uint64_t now, Output &out,
	                  rte_mbuf **consumed);
	// Returns the traits that any packet has.
	uint32_t hash_headers(rte_mbuf *const *packets, uint32_t nb, uint32_t *hash);
	void hash_unhashed(rte_mbuf *const *packets, uint32_t nb, uint32_t *hash);
	reframer::packet::Digest digest_in_pieces(const rte_mbuf *packet) const;
	void free_thinned();
	void account(uint16_t nb, uint64_t now);
	void leave_out(rte_mbuf *const *packets, uint32_t nb);
	void leave_counted(const reframer::stage::Passed &all);
	void count_left_out(uint64_t now);

	reframer::dpdk::TscClock clock;
	uint64_t callers_now = 0;
	bool callers_time = false;
	bool nic_hash = false, plain = true, thins = false, adapts = false;
	bool fragments = false; // have been seen, where headers are hashed here
	reframer::packet::LinkType link = reframer::packet::LinkType::ethernet;
	reframer::packet::KeyKind key = reframer::packet::KeyKind::five_tuple;

	// Load, for the controller: the time from a poll that found or gave packets to the next is work.
	uint64_t last_poll = 0, busy = 0, total = 0, polled = 0;
	uint32_t ring_size = 0;
	bool last_worked = false;
	// Bursts left to the program, not yet told to the stage: a poll touches as little as it can then.
	bool passing = false;
	reframer::stage::Passed left_out;

	std::atomic<uint64_t> polls{0}, empty_polls{0}, without_hash{0}, in_pieces{0}, freed{0},
		unparsed{0};
};
