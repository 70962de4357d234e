// Outside the packet path: memory, what parameters mean, calls of control.
#include "reframer/slots/slot_stage.hpp"

#include <algorithm>
#include <cerrno>

namespace reframer::stage {

namespace {

uint32_t traits_of_bypass(uint32_t bypass)
{
	uint32_t traits = 0;
	if (bypass & REFRAMER_BYPASS_SYN)
		traits |= packet::trait_syn;
	if (bypass & REFRAMER_BYPASS_DSCP_EF)
		traits |= packet::trait_dscp_ef;
	if (bypass & REFRAMER_BYPASS_ECT1)
		traits |= packet::trait_ect1;
	if (bypass & REFRAMER_BYPASS_DNS)
		traits |= packet::trait_dns;
	return traits;
}

uint32_t traits_of_early(uint32_t early)
{
	uint32_t traits = 0;
	if (early & REFRAMER_EARLY_FIN)
		traits |= packet::trait_fin;
	if (early & REFRAMER_EARLY_RST)
		traits |= packet::trait_rst;
	if (early & REFRAMER_EARLY_PSH)
		traits |= packet::trait_psh;
	return traits;
}

} // namespace

int SlotStage::init(const reframer_params &params)
{
	options_ = params.options;
	bypass_traits_ = traits_of_bypass(params.bypass);
	bypass_new_ = params.bypass & REFRAMER_BYPASS_NEW_FLOW;
	early_traits_ = traits_of_early(params.early);
	needs_data_ = true;
	may_straighten_ = false;

	// Each distinct delay of a rule has a queue; the policy's T has the first.
	uint64_t delays[nb_fifos_max] = {};
	nb_fifos_ = 1;
	for (uint32_t i = 0; i < params.nb_rules; i++) {
		const reframer_rule &rule = params.rules[i];
		uint32_t fifo = 1;
		while (fifo < nb_fifos_ && delays[fifo] != rule.delay_ns)
			fifo++;
		if (rule.delay_ns == 0)
			fifo = 0;
		else if (fifo == nb_fifos_)
			delays[nb_fifos_++] = rule.delay_ns;
		rules_.add(rule, static_cast<uint8_t>(fifo));
	}

	// max_packets that wait, as many again that are ready and not yet polled, and thinned ones.
	const uint32_t nb_slots = 2 * max_packets_ + thinned_room(max_packets_) + chunk;
	const uint32_t nb_buckets = GroupTable::nb_buckets_for(max_packets_);
	const uint32_t nb_entries = Fifo::nb_entries_for(max_packets_ + chunk);
	const uint32_t nb_sets = bypass_new_ ? Recency::nb_sets_for(max_packets_) : 0;
	const uint32_t nb_revised = options_ ? std::min(max_burst_, max_packets_ + chunk) + 1 : 0;
	const size_t slots_at = arena_.reserve<Slot>(nb_slots);
	const size_t buckets_at = arena_.reserve<Bucket>(nb_buckets + 1);
	const size_t free_at = arena_.reserve<uint32_t>(nb_slots);
	const size_t rings_at = arena_.reserve<uint32_t>(size_t{nb_entries} * nb_fifos_);
	const size_t recency_at = arena_.reserve<uint16_t>(size_t{nb_sets} * Recency::ways);
	const size_t copies_at = arena_.reserve<Slot>(nb_revised);
	const size_t segments_at = arena_.reserve<Segment>(nb_revised);
	const size_t items_at = arena_.reserve<RepairItem>(nb_revised);
	const size_t gaps_at = arena_.reserve<RepairGap>(nb_revised + 1);
	const size_t chosen_at = arena_.reserve<uint32_t>(nb_revised);
	const size_t ids_at = arena_.reserve<uint32_t>(nb_revised);
	const size_t taken_at = arena_.reserve<uint8_t>(nb_revised);
	if (!arena_.allocate())
		return -ENOMEM;

	slots_ = arena_.at<Slot>(slots_at);
	free_.init(arena_.at<uint32_t>(free_at), nb_slots);
	table_.init(arena_.at<Bucket>(buckets_at), nb_buckets, seed_);
	for (uint32_t i = 0; i < nb_fifos_; i++)
		fifos_[i].init(arena_.at<uint32_t>(rings_at) + size_t{nb_entries} * i, nb_entries,
		               delays[i]);
	if (bypass_new_)
		recency_.init(arena_.at<uint16_t>(recency_at), nb_sets);
	revision_ = {arena_.at<Segment>(segments_at),
	             arena_.at<uint32_t>(ids_at),
	             arena_.at<uint8_t>(taken_at),
	             {arena_.at<Slot>(copies_at), arena_.at<RepairItem>(items_at),
	              arena_.at<RepairGap>(gaps_at), arena_.at<uint32_t>(chosen_at)}};
	return 0;
}

// From the last group back, so that none is due after one behind it: a group that came from another
// class may be older than those in front of it.
void SlotStage::lower_deadlines(uint64_t delay_ns)
{
	const Fifo &fifo = fifos_[0];
	uint64_t latest = UINT64_MAX;
	for (uint32_t at = fifo.tail; at-- != fifo.head;) {
		const uint32_t id = fifo.at(at);
		if (id == none)
			continue;
		Slot &group = slots_[id];
		latest = std::min({latest, group.deadline, group.arrival + delay_ns});
		group.deadline = latest;
	}
}

uint32_t SlotStage::release_bucket(uint32_t mask, uint32_t value)
{
	uint32_t nb_groups = 0;
	for (uint32_t i = 0; i < nb_fifos_; i++) {
		const Fifo &fifo = fifos_[i];
		for (uint32_t at = fifo.head; at != fifo.tail; at++) {
			const uint32_t id = fifo.at(at);
			if (id == none || (slots_[id].hash & mask) != value)
				continue;
			make_ready(id, REFRAMER_BY_DRAIN);
			nb_groups++;
		}
	}
	return nb_groups;
}

uint64_t SlotStage::earliest_deadline() const
{
	uint64_t earliest = UINT64_MAX;
	for (uint32_t i = 0; i < nb_fifos_; i++) {
		const uint32_t id = fifos_[i].peek_id();
		if (id != none)
			earliest = std::min(earliest, slots_[id].deadline);
	}
	return earliest;
}

} // namespace reframer::stage
