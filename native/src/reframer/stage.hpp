// What every instance of the stage has, however it holds packets: the clock, the policy and its T,
// packets that pass ungrouped, statistics. Two ways of holding build on it: blocks/ where nothing but
// the hash decides, which is what nearly all instances are, and slots/ where rules, classes of
// packets or options look at each one.
#pragma once

#include "packet/classify.hpp"
#include "packet/fragment_flows.hpp"
#include "reframer/adaptive.hpp"
#include "reframer/arena.hpp"
#include "reframer/histogram.hpp"
#include "reframer/output.hpp"
#include "reframer/passed.hpp"
#include "reframer/reframer.h"

#include <algorithm>
#include <cstdint>
#include <memory>

namespace reframer::stage {

// Packets that are handled together: their lines are fetched before the first is placed.
inline constexpr uint32_t chunk = 64;
inline constexpr uint32_t max_lookahead = 128;
// A step back of the clock beyond this is a new origin (another file, a reset), not disorder
// between interfaces; held packets would otherwise wait for the old time to come again.
inline constexpr uint64_t clock_origin_step_ns = 10'000'000;

class Stage {
public:
	// The way of holding that these parameters need. Null: out of memory.
	static std::unique_ptr<Stage> make(const reframer_params &params);
	virtual ~Stage() = default;
	Stage() = default;
	Stage(const Stage &) = delete;
	Stage &operator=(const Stage &) = delete;

	uint32_t push(const reframer_burst &burst, uint64_t caller_now);
	void poll(uint64_t caller_now, Output &out);
	void drain(uint64_t caller_now, Output &out);
	virtual uint32_t release_bucket(uint32_t mask, uint32_t value) = 0;
	virtual uint32_t take_thinned(void **, uint32_t) { return 0; }
	bool passes() const { return straight_on_ && nb_held() + nb_straight_held() == 0; }
	void pass(const Passed &burst, uint64_t caller_now);

	uint64_t next_deadline() const;
	uint32_t room(uint64_t caller_now) const;
	int set_policy(uint32_t policy, uint64_t delay_ns);
	void report_load(const reframer_load &load) { adaptive_.report(load); }
	void get_stats(reframer_stats &out) const;
	void hold_histogram(uint64_t *packets, uint32_t nb_buckets) const;
	void reset_stats();

protected:
	// Each way of holding. 0 or a negative errno value; what is common is set by then.
	virtual int init(const reframer_params &params) = 0;
	// `total` packets are sure to find room.
	virtual void hold(const reframer_burst &burst, uint32_t total) = 0;
	// What waited longer than it should before the next push can be grouped with it.
	virtual void make_all_ready(reframer_reason reason) = 0;
	virtual void read_all_headers() = 0;
	virtual void give(Output &out, uint64_t limit, reframer_reason reason) = 0;
	virtual void lower_deadlines(uint64_t delay_ns) = 0;
	// Of what is held, in the stage's clock; UINT64_MAX: nothing is.
	virtual uint64_t earliest_deadline() const = 0;
	virtual uint32_t nb_free() const = 0;
	// Before a poll gives out: headers that must be read by now.
	virtual void before_poll(uint64_t now) = 0;
	// Hold times of packets that left and are in no histogram yet.
	virtual void add_uncounted(uint64_t *, uint32_t, uint64_t &) const {}
	virtual void forget_uncounted() {}

	uint64_t advance_clock(uint64_t caller_now);
	void set_delay(uint64_t delay_ns);
	uint32_t nb_held() const { return waiting_ + ready_packets_; }
	bool over_capacity() const { return waiting_ > max_packets_ || waiting_bytes_ > max_bytes_; }

	void count_hold(uint64_t hold, uint64_t count)
	{
		hold_histogram_[0][hold_bucket(hold)] += count;
		if (count)
			stats_.hold_max_ns = std::max(stats_.hold_max_ns, hold);
	}

	uint64_t now_ = 0;          // the stage's clock: never goes back
	uint64_t clock_offset_ = 0; // stage's clock less the caller's
	uint32_t waiting_ = 0;      // packets in groups or unread
	uint32_t ready_packets_ = 0, ready_groups_ = 0;
	uint32_t groups_ = 0; // waiting
	uint64_t waiting_bytes_ = 0;
	uint64_t held_bytes_ = 0;                                         // waiting or ready
	uint64_t last_hash_in_ = UINT64_MAX, last_hash_out_ = UINT64_MAX; // no hash: nothing yet
	bool idle_ = false;                                               // polled since the last push
	uint64_t last_poll_ = 0;

	uint32_t policy_ = REFRAMER_FIXED;
	uint64_t delay_ = 0;     // T in force
	uint64_t budget_ns_ = 0; // delay_ns
	uint32_t max_packets_ = 0, max_burst_ = 0;
	uint64_t max_bytes_ = 0;
	packet::KeyKind key_ = packet::KeyKind::five_tuple;
	packet::LinkType link_ = packet::LinkType::ethernet;
	uint64_t seed_ = 0;
	bool needs_data_ = false;    // also with a NIC hash
	bool may_straighten_ = true; // nothing but the hash decides

	packet::FragmentFlows fragment_flows_;
	reframer_stats stats_ = {};
	// Several, so that packets of one hold time do not wait for each other's addition.
	static constexpr uint32_t nb_histograms = 4;
	uint64_t hold_histogram_[nb_histograms][REFRAMER_HISTOGRAM_BUCKETS] = {};

private:
	int init_all(const reframer_params &params);
	bool backlogged(uint64_t caller_now) const;
	void end_poll(uint64_t now);

	// straight.cpp
	bool push_straight(const reframer_burst &burst, uint32_t count);
	void emit_straight(Output &out);
	uint32_t straight_hash(const uint8_t *data, uint32_t captured);

	// Packets that pass while the adaptive policy gains nothing by holding: not grouped, not in the
	// table. Only entered while nothing else is held, and emptied before anything else leaves.
	struct Straight {
		void *packet;
		uint64_t arrival;
		uint32_t wire, hash;
	};
	static constexpr uint32_t nb_straight = 1024;
	Straight *straight_ = nullptr;
	uint32_t straight_head_ = 0, straight_tail_ = 0;
	bool straight_on_ = false;
	uint32_t nb_straight_held() const { return straight_tail_ - straight_head_; }

	Adaptive adaptive_;
	Arena arena_;
};

// Where an address would not be one, a prefetch does nothing; hence no pointer arithmetic.
[[gnu::always_inline]] inline void prefetch_item(const void *base, size_t bytes)
{
	__builtin_prefetch(reinterpret_cast<const void *>(reinterpret_cast<uintptr_t>(base) + bytes));
}

// Ethernet, two VLAN tags, IPv4 and TCP; IPv6 and ports without tags.
inline constexpr uint32_t header_bytes = 62;

[[gnu::always_inline]] inline void prefetch_header(const uint8_t *data)
{
	__builtin_prefetch(data);
	// Buffers are line-aligned in a mempool, records of a capture file are not.
	if ((reinterpret_cast<uintptr_t>(data) & 63) > 64 - header_bytes)
		__builtin_prefetch(data + header_bytes - 1);
}

// The kind of key is a constant in loops over a burst.
template <typename Work> inline auto for_key(packet::KeyKind key, Work work)
{
	using packet::KeyKind;
	switch (key) {
	case KeyKind::symmetric:
		return work.template operator()<KeyKind::symmetric>();
	case KeyKind::destination:
		return work.template operator()<KeyKind::destination>();
	case KeyKind::inner:
		return work.template operator()<KeyKind::inner>();
	default:
		return work.template operator()<KeyKind::five_tuple>();
	}
}

} // namespace reframer::stage

// The opaque type of the C header.
struct reframer_stage {
	std::unique_ptr<reframer::stage::Stage> stage;
};
