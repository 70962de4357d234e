// Holding where rules, classes of packets or options look at each packet: a slot a packet, chained to
// groups, a queue for each T. In packet order: push.cpp (in, headers), admit.cpp (rules, group),
// release.cpp (out).
#pragma once

#include "reframer/group_table.hpp"
#include "reframer/slots/ack_thinning.hpp"
#include "reframer/slots/fifo.hpp"
#include "reframer/slots/recency.hpp"
#include "reframer/slots/rules.hpp"
#include "reframer/slots/slots.hpp"
#include "reframer/slots/tcp_repair.hpp"
#include "reframer/stage.hpp"

#include <cstdint>

namespace reframer::stage {

inline constexpr uint32_t nb_fifos_max = REFRAMER_MAX_RULES + 1;
// Beyond a quarter of max_packets that the caller has not fetched, ACKs are no longer thinned.
constexpr uint32_t thinned_room(uint32_t max_packets)
{
	return max_packets / 4;
}

class SlotStage final : public Stage {
public:
	uint32_t release_bucket(uint32_t mask, uint32_t value) override;
	uint32_t take_thinned(void **out, uint32_t room) override;

protected:
	int init(const reframer_params &params) override;
	void hold(const reframer_burst &burst, uint32_t total) override;
	void make_all_ready(reframer_reason reason) override;
	void read_all_headers() override {} // none is put off
	void before_poll(uint64_t) override {}
	void give(Output &out, uint64_t limit, reframer_reason reason) override;
	void lower_deadlines(uint64_t delay_ns) override;
	uint64_t earliest_deadline() const override;
	uint32_t nb_free() const override { return free_.top; }

private:
	// Packets on their way to their groups. An array for each member: what needs one of them reads
	// nothing else, and loops over one become vectors.
	struct Arrivals {
		uint32_t id[chunk], hash[chunk], bucket[chunk], traits[chunk];
	};

	// push.cpp
	void take_burst(const reframer_burst &burst, uint32_t first, uint32_t count);
	void place(Arrivals &arrivals, uint32_t count);
	void relieve();

	// admit.cpp
	void place_by_policy(uint32_t id, uint32_t hash, uint32_t bucket, uint32_t traits);
	void make_way(uint32_t bucket);
	void start_group(uint32_t id, uint32_t hash, uint32_t bucket, uint32_t fifo);
	void single(uint32_t id, uint32_t hash, reframer_reason reason);
	void hurry(uint32_t id, uint32_t fifo, uint64_t deadline);

	// fragments.cpp
	void place_fragments(const Arrivals &arrivals, uint32_t count);
	packet::Datagram &datagram_of(const packet::Fragment &fragment);
	bool waits(const packet::Datagram &datagram) const;
	void place_orphan(uint32_t id, packet::Datagram &datagram, uint32_t hash, uint32_t traits);
	void release_orphans(uint32_t id, uint32_t hash);
	void release_flow(uint32_t hash);

	// release.cpp
	Fifo *first_due(uint64_t limit);
	void make_ready(uint32_t id, reframer_reason reason);
	void queue_ready(uint32_t id, reframer_reason reason);
	void emit_ready(Output &out);
	void emit_due(Output &out, uint64_t limit, reframer_reason reason);
	void emit_groups(Output &out, Fifo &fifo, uint64_t limit, reframer_reason reason);
	void leave_table(const uint32_t *ids, uint32_t count, reframer_reason reason, Output &out);
	void hand_out(const uint32_t *ids, uint32_t count, Output &out, uint32_t at);

	// revise.cpp
	void revise(uint32_t id);

	uint64_t delay_of(uint32_t fifo) const { return fifo == 0 ? delay_ : fifos_[fifo].delay; }
	static bool began_before(const Slot &one, const Slot &other)
	{
		if (one.arrival != other.arrival || fifo_of(one) != fifo_of(other))
			return one.arrival <= other.arrival;
		return static_cast<int32_t>(one.link - other.link) < 0;
	}
	static uint32_t fifo_of(const Slot &group) { return group.place >> 24; }
	static uint32_t place_of(const Slot &group) { return group.place & 0xffffff; }

	// What every packet touches comes first.
	Slot *slots_ = nullptr;
	FreeSlots free_;
	GroupTable table_;
	Fifo fifos_[nb_fifos_max]; // the policy's T, which may move, has the first
	uint32_t nb_fifos_ = 1;

	uint64_t fragments_ = 0; // of the packets on their way to their groups: one bit each
	packet::Fragment fragment_[chunk] = {};
	static_assert(chunk == 64, "a bit a packet");

	uint32_t ready_head_ = none, ready_tail_ = none;
	uint32_t thinned_head_ = none, thinned_tail_ = none, thinned_count_ = 0;

	uint32_t bypass_traits_ = 0, early_traits_ = 0, options_ = 0;
	bool bypass_new_ = false;
	bool nic_hash_ = false; // who pushes brings hashes

	Rules rules_;
	Recency recency_;
	struct {
		Segment *segments;
		uint32_t *ids;
		uint8_t *taken;
		RepairScratch scratch;
	} revision_ = {};
	Arena arena_;
};

} // namespace reframer::stage
