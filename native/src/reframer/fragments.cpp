// Fragments on their way to the group of their flow: see packet/fragment_flows.hpp for what order
// means. One packet at a time, and only packets that classify() marks come here.
#include "reframer/stage.hpp"

#include <algorithm>
#include <bit>

namespace reframer::stage {

// `at`: where among the arrivals. Headers are read in order of arrival, but groups are only found
// when the whole chunk has been read.
void Stage::note_fragment(const uint8_t *data, uint32_t captured, uint32_t at)
{
	fragment_[at] = packet::read_fragment(data, captured, link_, key_, seed_);
	fragments_ |= uint64_t{1} << at;
}

uint32_t Stage::bucket_of(uint32_t hash) const
{
	return plain_ ? table_.bucket_of_keyed(hash) : table_.bucket_of(hash);
}

packet::Datagram &Stage::datagram_of(const packet::Fragment &fragment)
{
	return fragment_flows_.find(fragment, now_, [this](const packet::Datagram &old) {
		// Who pushes it out is not known to come behind what waits: that leaves at once.
		if (waits(old))
			make_ready(old.waiting, REFRAMER_BY_CAPACITY);
	});
}

// Is there still a group that waits for the first fragment? Its slot may have been used again since.
bool Stage::waits(const packet::Datagram &datagram) const
{
	const uint32_t id = datagram.waiting;
	if (id == none || place_of(slots_[id]) != table_.outside() ||
	    slots_[id].hash != packet::FragmentFlows::own_hash(datagram))
		return false;
	const uint32_t fifo = fifo_of(slots_[id]);
	return fifo < nb_fifos_ && fifos_[fifo].holds(slots_[id].link, id);
}

// Nothing waits while packets pass straight, but flows must be known when that ends.
uint32_t Stage::straight_hash(const uint8_t *data, uint32_t captured)
{
	const packet::Fragment fragment = packet::read_fragment(data, captured, link_, key_, seed_);
	packet::Datagram &datagram = datagram_of(fragment);
	packet::FragmentFlows::count(datagram, fragment, now_);
	return datagram.flow_known ? datagram.flow_hash : fragment.own_hash;
}

template <bool plain> void Stage::place_fragments(const Arrivals &arrivals, uint32_t count)
{
	uint64_t left = fragments_;
	fragments_ = 0; // for place(), which is called again below
	Arrivals part;
	const auto place_part = [&](uint32_t from, uint32_t n) {
		std::copy_n(arrivals.id + from, n, part.id);
		std::copy_n(arrivals.hash + from, n, part.hash);
		if constexpr (!plain)
			std::copy_n(arrivals.traits + from, n, part.traits);
		place<plain>(part, n);
	};
	uint32_t from = 0;
	for (; left; left &= left - 1) {
		const auto at = static_cast<uint32_t>(std::countr_zero(left));
		if (at > from)
			place_part(from, at - from);
		from = at + 1;
		const packet::Fragment &fragment = fragment_[at];
		packet::Datagram &datagram = datagram_of(fragment);
		if (fragment.first && waits(datagram))
			join_flow(datagram.waiting, fragment.flow_hash);
		packet::FragmentFlows::count(datagram, fragment, now_);
		if (!datagram.flow_known) {
			place_orphan(arrivals.id[at], datagram, fragment.own_hash,
			             plain ? 0 : arrivals.traits[at]);
			continue;
		}
		datagram.waiting = none;
		part.id[0] = arrivals.id[at];
		part.hash[0] = datagram.flow_hash;
		if constexpr (!plain)
			part.traits[0] = arrivals.traits[at];
		place<plain>(part, 1);
	}
	if (from < count)
		place_part(from, count - from);
}
template void Stage::place_fragments<true>(const Arrivals &arrivals, uint32_t count);
template void Stage::place_fragments<false>(const Arrivals &arrivals, uint32_t count);

// A fragment before its first. Its group is not in the table: packets of a flow whose hash happens
// to be the same must not get into it, as it may join another flow.
void Stage::place_orphan(uint32_t id, packet::Datagram &datagram, uint32_t hash, uint32_t traits)
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
		slot.deadline = slot.arrival + fifos_[fifo].delay;
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

// The first fragment has come: what waited for it, headed by `id`, becomes a part of the flow's
// group. The one that is due first goes first, and keeps its place.
void Stage::join_flow(uint32_t id, uint32_t hash)
{
	const uint32_t index = bucket_of(hash);
	Bucket &bucket = table_.bucket(index);
	auto [same, vacant] = GroupTable::look(bucket, hash);
	Slot &orphans = slots_[id];
	if (!same) {
		if (!vacant) {
			make_way(index);
			vacant = GroupTable::look(bucket, hash).vacant;
		}
		const auto way = static_cast<uint32_t>(std::countr_zero(vacant));
		orphans.hash = hash;
		orphans.place = GroupTable::place_of(index, way) | fifo_of(orphans) << 24;
		bucket.hash[way] = hash;
		bucket.head[way] = id;
		return;
	}
	const auto way = static_cast<uint32_t>(std::countr_zero(same));
	const uint32_t flow_id = bucket.head[way];
	Slot &flow = slots_[flow_id];
	if (flow.count + orphans.count >= max_burst_) {
		make_ready(flow_id, REFRAMER_BY_BURST);
		make_ready(id, REFRAMER_BY_BURST);
		return;
	}
	const bool orphans_first = orphans.deadline < flow.deadline;
	Slot &first = orphans_first ? orphans : flow;
	Slot &second = orphans_first ? flow : orphans;
	fifos_[fifo_of(second)].remove(second.link);
	slots_[first.tail].next = orphans_first ? flow_id : id;
	first.tail = second.tail;
	first.count += second.count;
	first.hash = hash;
	first.place = GroupTable::place_of(index, way) | fifo_of(first) << 24;
	bucket.head[way] = orphans_first ? id : flow_id;
	second.place = 0; // no group any more
	groups_--;
}

} // namespace reframer::stage
