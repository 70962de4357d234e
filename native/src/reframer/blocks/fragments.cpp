// Fragments on their way to the group of their flow: see packet/fragment_flows.hpp for what order
// means. One packet at a time, and only packets that classify() marks come here.
#include "reframer/blocks/block_stage.hpp"

#include <bit>

namespace reframer::stage {

packet::Datagram &BlockStage::datagram_of(const packet::Fragment &fragment)
{
	return fragment_flows_.find(fragment, now_, [this](const packet::Datagram &old) {
		// Who pushes it out is not known to come behind what waits: that leaves at once.
		if (waits(old))
			take_out(old.waiting, REFRAMER_BY_CAPACITY);
	});
}

// Is there still a group that waits for the first fragment? Its position may have gone around.
bool BlockStage::waits(const packet::Datagram &datagram)
{
	const uint32_t head = datagram.waiting, hash = packet::FragmentFlows::own_hash(datagram);
	return blocks_.live(head) && blocks_.is_head(head) && blocks_.hash(head) == hash &&
	       !blocks_.in_table(hash, blocks_.tail_of(head));
}

// `first`: where the headers of the batch are.
void BlockStage::place_with_fragments(const Batch &batch, uint32_t first, uint32_t fragments)
{
	uint32_t from = 0;
	for (uint32_t left = fragments; left; left &= left - 1) {
		const auto at = static_cast<uint32_t>(std::countr_zero(left));
		if (at > from)
			place(batch.part(from, at - from));
		from = at + 1;
		const packet::Fragment fragment = packet::read_fragment(
			unread_.data[first + at], unread_.captured[first + at], link_, key_, seed_);
		packet::Datagram &datagram = datagram_of(fragment);
		if (packet::FragmentFlows::is_used_again(datagram, fragment))
			release_flow(datagram.flow_hash);
		if (fragment.first && waits(datagram))
			release_orphans(datagram.waiting, fragment.flow_hash);
		packet::FragmentFlows::note(datagram, fragment);
		Batch one = batch.part(at, 1);
		one.hash = datagram.flow_known ? &datagram.flow_hash : &fragment.own_hash;
		if (datagram.flow_known) {
			datagram.waiting = blocks_.rel - 1; // nothing is there
			place(one);
		} else {
			place_orphan(one, datagram);
		}
	}
	if (from < batch.count)
		place(batch.part(from, batch.count - from));
}

// A fragment before its first. Its group is not in the table: packets of a flow whose hash happens
// to be the same must not get into it.
void BlockStage::place_orphan(const Batch &one, packet::Datagram &datagram)
{
	make_room(1);
	stats_.runs_in += one.hash[0] != last_hash_in_;
	last_hash_in_ = one.hash[0];
	if (waits(datagram)) {
		append(one, 0, blocks_.tail_of(datagram.waiting));
	} else {
		datagram.waiting = blocks_.nb++;
		begin_group(one, 0, datagram.waiting);
	}
	if (blocks_.count(blocks_.tail_of(datagram.waiting)) >= max_burst_)
		take_out(datagram.waiting, REFRAMER_BY_BURST);
	forget_old();
}

// The first fragment has come: what waited for it, headed by `head`, leaves now, and what its flow
// has waiting leaves before it if it came before.
void BlockStage::release_orphans(uint32_t head, uint32_t hash)
{
	if (const BlockBucket::Way *const way = blocks_.find(hash)) {
		const uint32_t flow = blocks_.head_of(blocks_.position_of(way->word));
		if (flow - blocks_.rel < head - blocks_.rel)
			take_out(flow, REFRAMER_BY_EARLY);
	}
	take_out(head, REFRAMER_BY_EARLY);
}

void BlockStage::release_flow(uint32_t hash)
{
	if (const BlockBucket::Way *const way = blocks_.find(hash))
		take_out(blocks_.head_of(blocks_.position_of(way->word)), REFRAMER_BY_EARLY);
}

} // namespace reframer::stage
