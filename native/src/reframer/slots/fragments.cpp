// Fragments on their way to the group of their flow: see packet/fragment_flows.hpp for what order
// means. One packet at a time, and only packets that classify() marks come here.
#include "reframer/slots/slot_stage.hpp"

#include <algorithm>
#include <bit>

namespace reframer::stage {

packet::Datagram &SlotStage::datagram_of(const packet::Fragment &fragment)
{
	return fragment_flows_.find(fragment, now_, [this](const packet::Datagram &old) {
		// Who pushes it out is not known to come behind what waits: that leaves at once.
		if (waits(old))
			make_ready(old.waiting, REFRAMER_BY_CAPACITY);
	});
}

// Is there still a group that waits for the first fragment? Its slot may have been used again since.
bool SlotStage::waits(const packet::Datagram &datagram) const
{
	const uint32_t id = datagram.waiting;
	if (id == none || place_of(slots_[id]) != table_.outside() ||
	    slots_[id].hash != packet::FragmentFlows::own_hash(datagram))
		return false;
	const uint32_t fifo = fifo_of(slots_[id]);
	return fifo < nb_fifos_ && fifos_[fifo].holds(slots_[id].link, id);
}

void SlotStage::place_fragments(const Arrivals &arrivals, uint32_t count)
{
	uint64_t left = fragments_;
	fragments_ = 0; // for place(), which is called again below
	Arrivals part;
	const auto place_part = [&](uint32_t from, uint32_t n) {
		std::copy_n(arrivals.id + from, n, part.id);
		std::copy_n(arrivals.hash + from, n, part.hash);
		std::copy_n(arrivals.traits + from, n, part.traits);
		place(part, n);
	};
	uint32_t from = 0;
	for (; left; left &= left - 1) {
		const auto at = static_cast<uint32_t>(std::countr_zero(left));
		if (at > from)
			place_part(from, at - from);
		from = at + 1;
		const packet::Fragment &fragment = fragment_[at];
		packet::Datagram &datagram = datagram_of(fragment);
		if (packet::FragmentFlows::is_used_again(datagram, fragment))
			release_flow(datagram.flow_hash);
		if (fragment.first && waits(datagram))
			release_orphans(datagram.waiting, fragment.flow_hash);
		packet::FragmentFlows::note(datagram, fragment);
		if (!datagram.flow_known) {
			place_orphan(arrivals.id[at], datagram, fragment.own_hash, arrivals.traits[at]);
			continue;
		}
		datagram.waiting = none;
		part.id[0] = arrivals.id[at];
		part.hash[0] = datagram.flow_hash;
		part.traits[0] = arrivals.traits[at];
		place(part, 1);
	}
	if (from < count)
		place_part(from, count - from);
}

// A fragment before its first. Its group is not in the table: packets of a flow whose hash happens
// to be the same must not get into it, as it may join another flow.
void SlotStage::place_orphan(uint32_t id, packet::Datagram &datagram, uint32_t hash,
                             uint32_t traits)
{
	Slot &slot = slots_[id];
	stats_.runs_in += hash != last_hash_in_;
	last_hash_in_ = hash;
	const Verdict verdict = rules_.empty()
	                            ? Verdict{Verdict::no_rule}
	                            : rules_.match(slot.data, slot.captured, slot.wire, link_, key_);
	const bool pass = verdict.kind == Verdict::pass ||
	                  (verdict.kind == Verdict::no_rule && (traits & bypass_traits_) != 0);
	stats_.bypassed += pass;
	uint32_t head = datagram.waiting;
	if (waits(datagram)) {
		Slot &group = slots_[head];
		slots_[group.tail].next = id;
		group.tail = id;
		group.count++;
	} else {
		const bool classed = verdict.kind == Verdict::wait && policy_ != REFRAMER_BURST;
		const uint32_t fifo = classed ? verdict.fifo : 0;
		slot.deadline = slot.arrival + delay_of(fifo);
		slot.hash = hash;
		slot.tail = id;
		slot.count = 1;
		slot.place = table_.outside() | fifo << 24;
		fifos_[fifo].append(slots_, id);
		groups_++;
		datagram.waiting = head = id;
	}
	if (pass)
		make_ready(head, REFRAMER_BY_BYPASS);
	else if (slots_[head].count >= max_burst_)
		make_ready(head, REFRAMER_BY_BURST);
}

// The first fragment has come: what waited for it, headed by `id`, leaves now, and what its flow has
// waiting leaves before it if it came before.
void SlotStage::release_orphans(uint32_t id, uint32_t hash)
{
	const Bucket &bucket = table_.bucket(table_.bucket_of(hash));
	const uint32_t same = GroupTable::look(bucket, hash).same;
	if (same) {
		const uint32_t flow = bucket.head[std::countr_zero(same)];
		if (began_before(slots_[flow], slots_[id]))
			make_ready(flow, REFRAMER_BY_EARLY);
	}
	make_ready(id, REFRAMER_BY_EARLY);
}

void SlotStage::release_flow(uint32_t hash)
{
	const Bucket &bucket = table_.bucket(table_.bucket_of(hash));
	if (const uint32_t same = GroupTable::look(bucket, hash).same)
		make_ready(bucket.head[std::countr_zero(same)], REFRAMER_BY_EARLY);
}

} // namespace reframer::stage
