// One instance of the stage. Its life in packet order: push.cpp (in, header lines under way),
// admit.cpp (hash, group), release.cpp (out); adaptive.cpp moves T.
#pragma once

#include "packet/classify.hpp"
#include "packet/fragment_flows.hpp"
#include "reframer/ack_thinning.hpp"
#include "reframer/adaptive.hpp"
#include "reframer/arena.hpp"
#include "reframer/fifo.hpp"
#include "reframer/group_table.hpp"
#include "reframer/recency.hpp"
#include "reframer/reframer.h"
#include "reframer/rules.hpp"
#include "reframer/slots.hpp"
#include "reframer/tcp_repair.hpp"

#include <cstdint>

namespace reframer::stage {

// Packets that are handled together: their table lines are fetched before the first is placed.
inline constexpr uint32_t chunk = 64;
// A step back of the clock beyond this is a new origin (another file, a reset), not disorder
// between interfaces; held packets would otherwise wait for the old time to come again.
inline constexpr uint64_t clock_origin_step_ns = 10'000'000;
inline constexpr uint32_t max_lookahead = 128;
inline constexpr uint32_t nb_fifos_max = REFRAMER_MAX_RULES + 1;
// Beyond a quarter of max_packets that the caller has not fetched, ACKs are no longer thinned.
constexpr uint32_t thinned_room(uint32_t max_packets)
{
	return max_packets / 4;
}

struct Output {
	void **packets;
	uint32_t room;
	reframer_run *runs;
	uint32_t run_room;
	uint32_t nb_packets = 0, nb_runs = 0;
};

class Stage {
public:
	// 0 or a negative errno value.
	int init(const reframer_params &params);

	uint32_t push(const reframer_burst &burst, uint64_t caller_now);
	void poll(uint64_t caller_now, Output &out);
	void drain(uint64_t caller_now, Output &out);
	uint32_t release_bucket(uint32_t mask, uint32_t value);
	uint32_t take_thinned(void **out, uint32_t room);
	bool passes() const
	{
		return straight_on_ && waiting_ + ready_packets_ + nb_straight_held() == 0;
	}
	void pass(const reframer_burst &burst, uint64_t caller_now);

	uint64_t next_deadline() const;
	uint32_t room(uint64_t caller_now) const;
	int set_policy(uint32_t policy, uint64_t delay_ns);
	void report_load(const reframer_load &load) { adaptive_.report(load); }
	void get_stats(reframer_stats &out) const;
	const auto &hold_histogram() const { return hold_histogram_; }
	void reset_stats();

private:
	// Packets on their way to their groups. An array for each member: what needs one of them reads
	// nothing else, and loops over one become vectors.
	struct Arrivals {
		uint32_t id[chunk], hash[chunk], bucket[chunk], traits[chunk];
	};

	bool backlogged(uint64_t caller_now) const;

	// push.cpp
	uint64_t advance_clock(uint64_t caller_now);
	void push_hashed(const reframer_burst &burst, uint32_t first, uint32_t count);
	void place_plain(const Arrivals &arrivals, uint32_t count);
	void relieve();

	// headers.cpp
	void push_unread(const reframer_burst &burst, uint32_t first, uint32_t count);
	void read_all_headers();
	template <packet::KeyKind kind, bool plain> struct Reader;
	template <packet::KeyKind kind, bool plain> void read_headers(uint32_t count);
	template <packet::KeyKind kind, bool plain>
	void take_burst(const reframer_burst &burst, uint32_t first, uint32_t count);
	template <bool plain> void place(Arrivals &arrivals, uint32_t count);
	template <typename Work> void specialised(Work work);

	// straight.cpp
	bool push_straight(const reframer_burst &burst, uint32_t count);
	void emit_straight(Output &out);

	// admit.cpp
	void place_by_policy(uint32_t id, uint32_t hash, uint32_t bucket, uint32_t traits);
	void make_way(uint32_t bucket);
	void start_group(uint32_t id, uint32_t hash, uint32_t bucket, uint32_t fifo);
	void single(uint32_t id, uint32_t hash, reframer_reason reason);
	void hurry(uint32_t id, uint32_t fifo, uint64_t deadline);

	// fragments.cpp
	void note_fragment(const uint8_t *data, uint32_t captured, uint32_t at);
	uint32_t straight_hash(const uint8_t *data, uint32_t captured);
	template <bool plain> void place_fragments(const Arrivals &arrivals, uint32_t count);
	packet::Datagram &datagram_of(const packet::Fragment &fragment);
	bool waits(const packet::Datagram &datagram) const;
	uint32_t bucket_of(uint32_t hash) const;
	void place_orphan(uint32_t id, packet::Datagram &datagram, uint32_t hash, uint32_t traits);
	void join_flow(uint32_t id, uint32_t hash);

	// release.cpp
	Fifo *first_due(uint64_t limit);
	void make_ready(uint32_t id, reframer_reason reason);
	void queue_ready(uint32_t id, reframer_reason reason);
	void make_all_ready(reframer_reason reason);
	void emit_ready(Output &out);
	void emit_due(Output &out, uint64_t limit, reframer_reason reason);
	void emit_groups(Output &out, Fifo &fifo, uint64_t limit, reframer_reason reason);
	void leave_table(const uint32_t *ids, uint32_t count, reframer_reason reason, Output &out);
	void hand_out(const uint32_t *ids, uint32_t count, Output &out, uint32_t at);
	void count_hold(uint64_t hold, uint64_t count);
	void set_delay(uint64_t delay_ns);
	void end_poll(uint64_t now);

	// revise.cpp
	void revise(uint32_t id);

	static uint32_t fifo_of(const Slot &group) { return group.place >> 24; }
	static uint32_t place_of(const Slot &group) { return group.place & 0xffffff; }

	// What every packet touches comes first.
	Slot *slots_ = nullptr;
	FreeSlots free_;
	GroupTable table_;
	Fifo fifos_[nb_fifos_max];
	uint32_t nb_fifos_ = 1;
	uint32_t max_burst_ = 0;
	uint64_t now_ = 0;          // the stage's clock: never goes back
	uint64_t clock_offset_ = 0; // stage's clock less the caller's
	uint32_t waiting_ = 0;      // packets in groups or unread
	uint64_t waiting_bytes_ = 0;
	uint64_t held_bytes_ = 0;                                         // waiting or ready
	uint64_t last_hash_in_ = UINT64_MAX, last_hash_out_ = UINT64_MAX; // no hash: nothing yet
	bool plain_ = true;                                               // no policy looks at traits
	bool keeps_data_ = false; // headers are read again at release

	static constexpr uint32_t nb_unread = 256;
	// Ring of slots whose header lines are under way, with what reading them needs.
	struct {
		uint32_t id[nb_unread];
		uint32_t captured[nb_unread];
		const uint8_t *data[nb_unread];
	} unread_ = {};
	uint32_t unread_head_ = 0, unread_tail_ = 0;
	static_assert(nb_unread >= max_lookahead + chunk);
	bool idle_ = false; // polled since the last push
	uint64_t last_poll_ = 0;

	packet::FragmentFlows fragment_flows_;
	uint64_t fragments_ = 0; // of the packets on their way to their groups: one bit each
	packet::Fragment fragment_[chunk] = {};
	static_assert(chunk == 64, "a bit a packet");

	uint32_t ready_head_ = none, ready_tail_ = none;
	uint32_t ready_packets_ = 0, ready_groups_ = 0;
	uint32_t groups_ = 0; // waiting
	uint32_t thinned_head_ = none, thinned_tail_ = none, thinned_count_ = 0;

	uint32_t policy_ = REFRAMER_FIXED;
	packet::KeyKind key_ = packet::KeyKind::five_tuple;
	packet::LinkType link_ = packet::LinkType::ethernet;
	uint64_t seed_ = 0;
	uint32_t max_packets_ = 0;
	uint64_t max_bytes_ = 0;
	uint64_t budget_ns_ = 0; // delay_ns; the FIFO has the T in force
	uint32_t lookahead_ = 0, lookahead_param_ = 0;
	uint32_t bypass_traits_ = 0, early_traits_ = 0, options_ = 0;
	bool bypass_new_ = false;

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

	Rules rules_;
	Recency recency_;
	struct {
		Segment *segments;
		uint32_t *ids;
		uint8_t *taken;
		RepairScratch scratch;
	} revision_ = {};
	Adaptive adaptive_;

	reframer_stats stats_ = {};
	uint64_t hold_histogram_[REFRAMER_HISTOGRAM_BUCKETS] = {};
	Arena arena_;
};

} // namespace reframer::stage

// The opaque type of the C header.
struct reframer_stage {
	reframer::stage::Stage stage;
};
