// A packet finds its group, or starts one, where policies look at it. The rule behind all of them:
// whoever must not wait takes the packets of its group along, so that nothing overtakes within a flow.
#include "reframer/slots/slot_stage.hpp"

#include <bit>

namespace reframer::stage {

// The bucket is full: the group of it that is due first leaves.
void SlotStage::make_way(uint32_t index)
{
	const Bucket &full = table_.bucket(index);
	uint32_t first = full.head[0];
	for (uint32_t way = 1; way < bucket_ways; way++)
		if (slots_[full.head[way]].deadline < slots_[first].deadline)
			first = full.head[way];
	make_ready(first, REFRAMER_BY_CAPACITY);
}

void SlotStage::start_group(uint32_t id, uint32_t hash, uint32_t bucket, uint32_t fifo)
{
	Bucket &in = table_.bucket(bucket);
	uint32_t vacant = GroupTable::look(in, hash).vacant;
	if (!vacant) [[unlikely]] {
		make_way(bucket);
		vacant = GroupTable::look(in, hash).vacant;
	}
	const auto way = static_cast<uint32_t>(std::countr_zero(vacant));
	Slot &slot = slots_[id];
	slot.deadline = slot.arrival + delay_of(fifo);
	slot.hash = hash;
	slot.tail = id;
	slot.count = 1;
	slot.place = GroupTable::place_of(bucket, way) | fifo << 24;
	in.hash[way] = hash;
	in.head[way] = id;
	fifos_[fifo].append(slots_, id);
	groups_++;
}

// A packet that waits for nobody and for whom nobody waits: a ready group of its own.
void SlotStage::single(uint32_t id, uint32_t hash, reframer_reason reason)
{
	Slot &slot = slots_[id];
	slot.hash = hash;
	slot.tail = id;
	slot.count = 1;
	waiting_--;
	waiting_bytes_ -= slot.wire;
	queue_ready(id, reason);
}

// A packet of a shorter class joins: the group takes over its deadline. That deadline is the
// latest of its queue, as every new one is, so the order of the queue holds.
void SlotStage::hurry(uint32_t id, uint32_t fifo, uint64_t deadline)
{
	Slot &group = slots_[id];
	fifos_[fifo_of(group)].remove(group.link);
	group.place = place_of(group) | fifo << 24;
	group.deadline = deadline;
	fifos_[fifo].append(slots_, id);
}

void SlotStage::place_by_policy(uint32_t id, uint32_t hash, uint32_t bucket, uint32_t traits)
{
	Slot &slot = slots_[id];
	stats_.runs_in += hash != last_hash_in_;
	last_hash_in_ = hash;

	Verdict verdict = rules_.empty()
	                      ? Verdict{Verdict::no_rule}
	                      : rules_.match(slot.data, slot.captured, slot.wire, link_, key_);
	bool pass = verdict.kind == Verdict::pass;
	if (verdict.kind == Verdict::no_rule)
		pass = (traits & bypass_traits_) != 0;
	// The filter must see every packet, or a flow whose first packet passed as SYN stays unknown.
	if (bypass_new_ && recency_.see(table_.spread(hash)) && verdict.kind == Verdict::no_rule)
		pass = true;
	const bool last = (traits & early_traits_) != 0;
	stats_.bypassed += pass;
	const reframer_reason reason = pass ? REFRAMER_BY_BYPASS : REFRAMER_BY_EARLY;

	const uint32_t way = GroupTable::look(table_.bucket(bucket), hash).same;
	if (!way && (pass || last)) {
		single(id, hash, reason);
		return;
	}
	const bool classed = verdict.kind == Verdict::wait && policy_ != REFRAMER_BURST;
	const uint32_t fifo = classed ? verdict.fifo : 0;
	uint32_t head;
	if (way) {
		head = table_.bucket(bucket).head[std::countr_zero(way)];
		Slot &group = slots_[head];
		slots_[group.tail].next = id;
		group.tail = id;
		group.count++;
		const uint64_t deadline = slot.arrival + delay_of(fifo);
		if (deadline < group.deadline)
			hurry(head, fifo, deadline);
	} else {
		start_group(id, hash, bucket, fifo);
		head = id;
	}
	if (pass || last)
		make_ready(head, reason);
	else if (slots_[head].count >= max_burst_)
		make_ready(head, REFRAMER_BY_BURST);
}

} // namespace reframer::stage
