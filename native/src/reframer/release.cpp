// Packets out: first what was made ready ahead of time, in that order, then what is due. A group
// that a flow fills later can therefore never leave before one that it filled earlier.
#include "reframer/histogram.hpp"
#include "reframer/stage.hpp"

#include <algorithm>

namespace reframer::stage {

namespace {
// Slots of coming groups that are fetched while one is given out; covers the second-level cache.
constexpr uint32_t release_lookahead = 8;

// Any index will do, also that of a gap: a prefetch does not fault. (Hence no pointer arithmetic.)
inline void prefetch_slot(const Slot *slots, uint32_t id)
{
	const auto address = reinterpret_cast<uintptr_t>(slots) + uintptr_t{id} * sizeof(Slot);
	__builtin_prefetch(reinterpret_cast<const void *>(address));
}
} // namespace

void Stage::poll(uint64_t caller_now, Output &out)
{
	const uint64_t now = advance_clock(caller_now);
	if (unread_head_ != unread_tail_) {
		// Nothing came since an earlier poll: no reason to wait for more lines. And who is due
		// must be read, to leave with its group.
		const uint64_t oldest = slots_[unread_[unread_head_ % std::size(unread_)]].arrival;
		if ((idle_ && now > last_poll_) || now - oldest >= fifos_[0].delay)
			read_all_headers();
	}
	idle_ = true;
	last_poll_ = now;
	emit_ready(out);
	emit_due(out, now, REFRAMER_BY_DEADLINE);
	if (policy_ == REFRAMER_ADAPTIVE && adaptive_.due(now))
		set_delay(adaptive_.step(now, budget_ns_, stats_));
}

void Stage::drain(uint64_t caller_now, Output &out)
{
	advance_clock(caller_now);
	read_all_headers();
	emit_ready(out);
	emit_due(out, UINT64_MAX, REFRAMER_BY_DRAIN);
}

// The queue whose head is due first, if that is not after `limit`.
Fifo *Stage::first_due(uint64_t limit)
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

void Stage::queue_ready(uint32_t id, reframer_reason reason)
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
void Stage::make_ready(uint32_t id, reframer_reason reason)
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

void Stage::make_all_ready(reframer_reason reason)
{
	read_all_headers();
	while (Fifo *fifo = first_due(UINT64_MAX))
		make_ready(fifo->head_id(), reason);
}

inline void Stage::flush_hold()
{
	stats_.hold_histogram[histogram_bucket(hold_last_)] += hold_count_;
	stats_.hold_max_ns = std::max(stats_.hold_max_ns, hold_count_ ? hold_last_ : 0);
	hold_count_ = 0;
}

inline void Stage::count_hold(uint64_t hold)
{
	if (hold != hold_last_) {
		flush_hold();
		hold_last_ = hold;
	}
	hold_count_++;
}

// @return the slot after the last one given out.
inline uint32_t Stage::emit_packets(uint32_t id, uint32_t count, Output &out)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		const Slot &slot = slots_[id];
		out.packets[out.nb_packets++] = slot.packet;
		bytes += slot.wire;
		count_hold(now_ - slot.arrival);
		free_.give(id);
		id = slot.next;
	}
	stats_.packets_out += count;
	stats_.bytes_out += bytes;
	held_bytes_ -= bytes;
	return id;
}

void Stage::emit_ready(Output &out)
{
	while (ready_head_ != none && out.nb_packets < out.room && out.nb_runs < out.run_room) {
		const Slot group = slots_[ready_head_];
		const uint32_t n = std::min(group.count, out.room - out.nb_packets);
		out.runs[out.nb_runs++] = {out.nb_packets, n, group.hash, group.place};
		stats_.runs_out += group.hash != last_hash_out_ || !any_out_;
		last_hash_out_ = group.hash;
		any_out_ = true;
		const uint32_t rest = emit_packets(ready_head_, n, out);
		ready_packets_ -= n;
		if (n == group.count) {
			ready_head_ = group.link;
			ready_groups_--;
			continue;
		}
		// Cut where the array ends: the rest is a group in the same place.
		Slot &next = slots_[rest];
		next.hash = group.hash;
		next.tail = group.tail;
		next.count = group.count - n;
		next.place = group.place;
		next.link = group.link;
		if (ready_tail_ == ready_head_)
			ready_tail_ = rest;
		ready_head_ = rest;
	}
}

void Stage::emit_due(Output &out, uint64_t limit, reframer_reason reason)
{
	while (out.nb_packets < out.room && out.nb_runs < out.run_room) {
		Fifo *fifo = first_due(limit);
		if (!fifo)
			return;
		for (; fifo->head != fifo->tail; fifo->head++) {
			const uint32_t id = fifo->at(fifo->head);
			if (id == none)
				continue;
			Slot &group = slots_[id];
			if (group.deadline > limit)
				break;
			if (options_ || group.count > out.room - out.nb_packets ||
			    out.nb_runs == out.run_room) [[unlikely]] {
				if (out.nb_packets == out.room || out.nb_runs == out.run_room)
					return;
				make_ready(id, reason);
				emit_ready(out);
				continue;
			}
			prefetch_slot(slots_, fifo->at(fifo->head + release_lookahead));
			const uint32_t count = group.count, hash = group.hash;
			table_.clear(place_of(group));
			groups_--;
			out.runs[out.nb_runs++] = {out.nb_packets, count, hash, reason};
			stats_.runs_out += hash != last_hash_out_ || !any_out_;
			last_hash_out_ = hash;
			any_out_ = true;
			stats_.released[reason]++;
			const uint64_t bytes_before = stats_.bytes_out;
			emit_packets(id, count, out);
			waiting_ -= count;
			waiting_bytes_ -= stats_.bytes_out - bytes_before;
		}
	}
}

} // namespace reframer::stage
