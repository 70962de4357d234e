// What happens outside the packet path: creation, control, statistics.
#include "reframer/stage.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <ctime>
#include <sys/random.h>

namespace reframer::stage {

namespace {

uint64_t draw_seed()
{
	uint64_t seed = 0;
	if (getrandom(&seed, sizeof seed, 0) == sizeof seed && seed)
		return seed;
	timespec now = {};
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (static_cast<uint64_t>(now.tv_nsec) * packet::hash_c0) ^
	       reinterpret_cast<uintptr_t>(&seed);
}

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

int Stage::init(const reframer_params &params)
{
	max_packets_ = params.max_packets;
	max_bytes_ = params.max_bytes;
	max_burst_ = params.max_burst;
	key_ = static_cast<packet::KeyKind>(params.key);
	link_ = static_cast<packet::LinkType>(params.link_type);
	seed_ = params.hash_seed ? params.hash_seed : draw_seed();
	options_ = params.options;
	bypass_traits_ = traits_of_bypass(params.bypass);
	bypass_new_ = params.bypass & REFRAMER_BYPASS_NEW_FLOW;
	early_traits_ = traits_of_early(params.early);
	lookahead_param_ = params.lookahead;
	keeps_data_ = options_ != 0;
	plain_ = bypass_traits_ == 0 && !bypass_new_ && early_traits_ == 0 && params.nb_rules == 0;

	// Each distinct delay of a rule has a queue; the policy's T, which may move, has the first.
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
	const size_t straight_at = arena_.reserve<Straight>(nb_straight);
	// As many datagrams as packets that wait: each that waits may be of another.
	const uint32_t nb_datagrams = std::bit_ceil(max_packets_);
	const size_t datagrams_at = arena_.reserve<packet::Datagram>(nb_datagrams);
	if (!arena_.allocate())
		return -ENOMEM;

	slots_ = arena_.at<Slot>(slots_at);
	straight_ = arena_.at<Straight>(straight_at);
	fragment_flows_.init(arena_.at<packet::Datagram>(datagrams_at), nb_datagrams);
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
	return set_policy(params.policy, params.delay_ns);
}

// Lowers deadlines, never raises them. From the last group back, so that none is due after one
// behind it: a group that came from another class may be older than those in front of it.
void Stage::set_delay(uint64_t delay_ns)
{
	Fifo &fifo = fifos_[0];
	const bool shorter = delay_ns < fifo.delay;
	fifo.delay = delay_ns;
	if (!shorter)
		return;
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

int Stage::set_policy(uint32_t policy, uint64_t delay_ns)
{
	if (policy > REFRAMER_ADAPTIVE || delay_ns > REFRAMER_MAX_DELAY_NS)
		return -EINVAL;
	read_all_headers();
	if (policy == REFRAMER_BURST)
		make_all_ready(REFRAMER_BY_DRAIN);
	policy_ = policy;
	budget_ns_ = delay_ns;
	lookahead_ = plain_ && policy != REFRAMER_BURST ? lookahead_param_ : 0;
	// The adaptive policy starts without delay and must find that one pays.
	set_delay(policy == REFRAMER_FIXED ? delay_ns : 0);
	straight_on_ = false;
	if (policy == REFRAMER_ADAPTIVE)
		adaptive_.reset(now_, budget_ns_, stats_);
	return 0;
}

uint32_t Stage::release_bucket(uint32_t mask, uint32_t value)
{
	read_all_headers();
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

uint64_t Stage::next_deadline() const
{
	if (straight_head_ != straight_tail_)
		return straight_[straight_head_].arrival - clock_offset_;
	if (ready_head_ != none)
		return now_ - clock_offset_;
	uint64_t earliest = UINT64_MAX;
	if (unread_head_ != unread_tail_)
		earliest = slots_[unread_.id[unread_head_ % nb_unread]].arrival + fifos_[0].delay;
	for (uint32_t i = 0; i < nb_fifos_; i++) {
		const uint32_t id = fifos_[i].peek_id();
		if (id != none)
			earliest = std::min(earliest, slots_[id].deadline);
	}
	return earliest == UINT64_MAX ? UINT64_MAX : earliest - clock_offset_;
}

// What a core is given at once: below that there is no backlog to speak of.
constexpr uint32_t backlog_least = 2 * 32;

bool Stage::backlogged(uint64_t caller_now) const
{
	const uint64_t due = next_deadline(), delay = fifos_[0].delay;
	if (due == UINT64_MAX)
		return false;
	const uint32_t held = waiting_ + ready_packets_;
	return due + delay < caller_now ||
	       (policy_ == REFRAMER_ADAPTIVE && held > backlog_least &&
	        held * adaptive_.packet_ns() > 2 * static_cast<double>(delay));
}

// What waits is max_packets at most, and what is due as many again.
uint32_t Stage::room(uint64_t caller_now) const
{
	const uint32_t held = waiting_ + ready_packets_ + nb_straight_held(), most = 2 * max_packets_;
	if (held >= most || backlogged(caller_now))
		return 0;
	return std::min(most - held, free_.top);
}

void Stage::get_stats(reframer_stats &out) const
{
	out = stats_;
	out.groups_held = groups_ + ready_groups_;
	out.packets_held = waiting_ + ready_packets_ + nb_straight_held();
	out.bytes_held = held_bytes_;
	out.delay_ns = fifos_[0].delay;
}

void Stage::reset_stats()
{
	stats_ = {};
	std::ranges::fill(hold_histogram_, 0);
	stats_.packets_held_max = waiting_ + nb_straight_held();
	adaptive_.rebase();
}

} // namespace reframer::stage
