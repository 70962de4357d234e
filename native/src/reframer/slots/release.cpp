// Packets out: first what was made ready ahead of time, in that order, then what is due. A group
// that a flow fills later can therefore never leave before one that it filled earlier.
#include "reframer/slots/slot_stage.hpp"

#include <algorithm>

namespace reframer::stage {

namespace {
// Slots of coming groups that are fetched while one is given out; covers the second-level cache.
constexpr uint32_t release_lookahead = 8;

} // namespace

void SlotStage::give(Output &out, uint64_t limit, reframer_reason reason)
{
	emit_ready(out);
	emit_due(out, limit, reason);
}

// The queue whose head is due first, if that is not after `limit`.
Fifo *SlotStage::first_due(uint64_t limit)
{
	Fifo *best = nullptr;
	uint64_t earliest = limit;
	for (uint32_t i = 0; i < nb_fifos_; i++) {
		const uint32_t id = fifos_[i].head_id();
		if (id == none || slots_[id].deadline > earliest)
			continue;
		if (best && slots_[id].deadline == earliest)
			continue;
		earliest = slots_[id].deadline;
		best = &fifos_[i];
	}
	return best;
}

void SlotStage::queue_ready(uint32_t id, reframer_reason reason)
{
	Slot &group = slots_[id];
	stats_.released[reason]++;
	group.place = reason;
	ready_packets_ += group.count;
	ready_groups_++;
	if (options_)
		revise(id);
	group.link = none;
	if (ready_head_ == none)
		ready_head_ = id;
	else
		slots_[ready_tail_].link = id;
	ready_tail_ = id;
}

// Takes a waiting group out of the table and its queue; a later packet of its flow starts anew.
void SlotStage::make_ready(uint32_t id, reframer_reason reason)
{
	const Slot &group = slots_[id];
	table_.clear(place_of(group));
	fifos_[fifo_of(group)].remove(group.link);
	groups_--;
	waiting_ -= group.count;
	uint32_t at = id;
	for (uint32_t n = group.count; n > 0; n--) {
		waiting_bytes_ -= slots_[at].wire;
		at = slots_[at].next;
	}
	queue_ready(id, reason);
}

void SlotStage::make_all_ready(reframer_reason reason)
{
	while (Fifo *fifo = first_due(UINT64_MAX))
		make_ready(fifo->head_id(), reason);
}

void SlotStage::emit_ready(Output &out)
{
	while (ready_head_ != none && out.nb_packets < out.room && out.nb_runs < out.run_room) {
		const uint32_t head = ready_head_;
		const Slot group = slots_[head];
		const uint32_t n = std::min(group.count, out.room - out.nb_packets);
		out.runs[out.nb_runs++] = {out.nb_packets, n, group.hash, group.place};
		stats_.runs_out += group.hash != last_hash_out_;
		last_hash_out_ = group.hash;
		uint32_t id = head;
		for (uint32_t i = 0; i < n; i++) {
			const Slot &slot = slots_[id];
			out.packets[out.nb_packets++] = slot.packet;
			stats_.bytes_out += slot.wire;
			held_bytes_ -= slot.wire;
			count_hold(now_ - slot.arrival, 1);
			free_.give(id);
			id = slot.next;
		}
		stats_.packets_out += n;
		ready_packets_ -= n;
		if (n == group.count) {
			ready_head_ = group.link;
			ready_groups_--;
			continue;
		}
		// Cut where the array ends: the rest is a group in the same place.
		Slot &next = slots_[id];
		next.hash = group.hash;
		next.tail = group.tail;
		next.count = group.count - n;
		next.place = group.place;
		next.link = group.link;
		if (ready_tail_ == head)
			ready_tail_ = id;
		ready_head_ = id;
	}
}

void SlotStage::emit_due(Output &out, uint64_t limit, reframer_reason reason)
{
	while (out.nb_packets < out.room && out.nb_runs < out.run_room) {
		Fifo *fifo = first_due(limit);
		if (!fifo)
			return;
		if (!options_)
			emit_groups(out, *fifo, limit, reason);
		// Revised groups, and one that does not fit, go the long way.
		const uint32_t id = fifo->head_id();
		if (id == none || slots_[id].deadline > limit)
			continue;
		if (out.nb_packets == out.room || out.nb_runs == out.run_room)
			return;
		make_ready(id, reason);
		emit_ready(out);
	}
}

// Groups of one queue, as long as they are due and fit, some at a time in three short loops: each
// keeps what it needs in registers, and fetches lines for the next one.
void SlotStage::emit_groups(Output &out, Fifo &fifo, uint64_t limit, reframer_reason reason)
{
	uint32_t ids[chunk];
	uint32_t room = out.room - out.nb_packets;
	bool more = true;
	while (more) {
		const uint32_t most = std::min(chunk, out.run_room - out.nb_runs);
		uint32_t n = 0, head = fifo.head;
		const uint32_t tail = fifo.tail;
		for (; n < most && head != tail; head++) {
			const uint32_t id = fifo.at(head);
			if (id == none)
				continue;
			const Slot &group = slots_[id];
			if (group.deadline > limit || group.count > room)
				break;
			// Any index will do, also that of a gap.
			prefetch_item(slots_, size_t{fifo.at(head + release_lookahead)} * sizeof(Slot));
			table_.prefetch_place(place_of(group));
			room -= group.count;
			ids[n++] = id;
		}
		fifo.head = head;
		more = n == chunk;
		const uint32_t nb_before = out.nb_packets;
		leave_table(ids, n, reason, out);
		hand_out(ids, n, out, nb_before);
	}
}

void SlotStage::leave_table(const uint32_t *ids, uint32_t count, reframer_reason reason,
                            Output &out)
{
	reframer_run *run = out.runs + out.nb_runs;
	uint64_t last_hash = last_hash_out_;
	uint32_t first = out.nb_packets, runs = 0;
	for (uint32_t i = 0; i < count; i++) {
		const Slot &group = slots_[ids[i]];
		table_.clear(place_of(group));
		run[i] = {first, group.count, group.hash, reason};
		first += group.count;
		runs += group.hash != last_hash;
		last_hash = group.hash;
	}
	const uint32_t nb_packets = first - out.nb_packets;
	out.nb_packets = first;
	out.nb_runs += count;
	groups_ -= count;
	waiting_ -= nb_packets;
	last_hash_out_ = last_hash;
	stats_.runs_out += runs;
	stats_.released[reason] += count;
	stats_.packets_out += nb_packets;
}

void SlotStage::hand_out(const uint32_t *ids, uint32_t count, Output &out, uint32_t at)
{
	const Slot *const slots = slots_;
	void **packets = out.packets + at;
	uint32_t *free = free_.stack + free_.top;
	const uint64_t now = now_;
	uint64_t bytes = 0, hold_last = 0, hold_count = 0;
	const auto give = [&](uint32_t id, const Slot &slot) {
		*packets++ = slot.packet;
		*free++ = id;
		bytes += slot.wire;
		const uint64_t hold = now - slot.arrival;
		if (hold != hold_last) {
			count_hold(hold_last, hold_count);
			hold_last = hold;
			hold_count = 0;
		}
		hold_count++;
	};
	for (uint32_t i = 0; i < count; i++) {
		uint32_t id = ids[i];
		const Slot *slot = &slots[id];
		const uint32_t last = slot->tail;
		give(id, *slot);
		while (id != last) {
			id = slot->next;
			slot = &slots[id];
			give(id, *slot);
		}
	}
	count_hold(hold_last, hold_count);
	free_.top = static_cast<uint32_t>(free - free_.stack);
	waiting_bytes_ -= bytes;
	held_bytes_ -= bytes;
	stats_.bytes_out += bytes;
}

} // namespace reframer::stage
