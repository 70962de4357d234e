// What happens to an instance whichever way it holds packets: calls from outside, the clock, the
// policy, statistics.
#include "reframer/stage.hpp"

#include "base/entropy.hpp"
#include "reframer/blocks/block_stage.hpp"
#include "reframer/slots/slot_stage.hpp"

#include <bit>
#include <cerrno>
#include <new>

namespace reframer::stage {

std::unique_ptr<Stage> Stage::make(const reframer_params &params)
{
	const bool looks_at_packets =
		params.bypass || params.early || params.nb_rules || params.options;
	std::unique_ptr<Stage> made;
	if (looks_at_packets)
		made.reset(new (std::nothrow) SlotStage);
	else
		made.reset(new (std::nothrow) BlockStage);
	if (!made || made->init_all(params) != 0)
		return nullptr;
	return made;
}

int Stage::init_all(const reframer_params &params)
{
	max_packets_ = params.max_packets;
	max_bytes_ = params.max_bytes;
	max_burst_ = params.max_burst;
	key_ = static_cast<packet::KeyKind>(params.key);
	link_ = static_cast<packet::LinkType>(params.link_type);
	seed_ = params.hash_seed ? params.hash_seed : base::draw_seed();
	const size_t straight_at = arena_.reserve<Straight>(nb_straight);
	// As many datagrams as packets that wait: each that waits may be of another.
	const uint32_t nb_datagrams = packet::FragmentFlows::nb_entries_for(max_packets_);
	const size_t datagrams_at = arena_.reserve<packet::Datagram>(nb_datagrams);
	if (!arena_.allocate())
		return -ENOMEM;
	straight_ = arena_.at<Straight>(straight_at);
	fragment_flows_.init(arena_.at<packet::Datagram>(datagrams_at), nb_datagrams);
	if (const int error = init(params))
		return error;
	return set_policy(params.policy, params.delay_ns);
}

uint64_t Stage::advance_clock(uint64_t caller_now)
{
	uint64_t now = caller_now + clock_offset_;
	if (now < now_) [[unlikely]] {
		stats_.clock_backwards++;
		if (now_ - now > clock_origin_step_ns)
			clock_offset_ = now_ - caller_now;
		now = now_;
	}
	now_ = now;
	return now;
}

uint32_t Stage::push(const reframer_burst &burst, uint64_t caller_now)
{
	advance_clock(caller_now);
	if ((!burst.hash || needs_data_) && (!burst.data || !burst.captured))
		return 0;
	if (policy_ == REFRAMER_BURST && groups_ > 0)
		make_all_ready(REFRAMER_BY_DEADLINE);
	idle_ = false;
	const uint32_t total = std::min(burst.count, nb_free());
	if (straight_on_ && nb_held() == 0 && push_straight(burst, total))
		return total;
	hold(burst, total);
	stats_.packets_held_max = std::max(stats_.packets_held_max, waiting_);
	stats_.packets_in += total;
	return total;
}

void Stage::poll(uint64_t caller_now, Output &out)
{
	const uint64_t now = advance_clock(caller_now);
	before_poll(now);
	if (straight_head_ != straight_tail_)
		emit_straight(out);
	if (straight_head_ == straight_tail_)
		give(out, now, REFRAMER_BY_DEADLINE);
	end_poll(now);
}

void Stage::end_poll(uint64_t now)
{
	idle_ = true;
	last_poll_ = now;
	if (policy_ == REFRAMER_ADAPTIVE && adaptive_.due(now)) {
		set_delay(adaptive_.step(now, budget_ns_, stats_));
		straight_on_ = may_straighten_ && adaptive_.passes();
	}
}

void Stage::drain(uint64_t caller_now, Output &out)
{
	advance_clock(caller_now);
	read_all_headers();
	emit_straight(out);
	if (straight_head_ == straight_tail_)
		give(out, UINT64_MAX, REFRAMER_BY_DRAIN);
}

// Lowers deadlines, never raises them.
void Stage::set_delay(uint64_t delay_ns)
{
	const bool shorter = delay_ns < delay_;
	delay_ = delay_ns;
	if (shorter)
		lower_deadlines(delay_ns);
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
	// The adaptive policy starts without delay and must find that one pays.
	set_delay(policy == REFRAMER_FIXED ? delay_ns : 0);
	straight_on_ = false;
	if (policy == REFRAMER_ADAPTIVE)
		adaptive_.reset(now_, budget_ns_, stats_);
	return 0;
}

uint64_t Stage::next_deadline() const
{
	if (straight_head_ != straight_tail_)
		return straight_[straight_head_].arrival - clock_offset_;
	if (ready_groups_ > 0)
		return now_ - clock_offset_;
	const uint64_t earliest = earliest_deadline();
	return earliest == UINT64_MAX ? UINT64_MAX : earliest - clock_offset_;
}

// What a core is given at once: below that there is no backlog to speak of.
constexpr uint32_t backlog_least = 2 * 32;

bool Stage::backlogged(uint64_t caller_now) const
{
	uint64_t due = next_deadline();
	// With T = 0 nothing is to be held, also not behind a group that found no room in the caller's
	// array and is ready.
	if (delay_ == 0 && straight_head_ == straight_tail_ && earliest_deadline() != UINT64_MAX)
		due = earliest_deadline() - clock_offset_;
	if (due == UINT64_MAX)
		return false;
	const uint32_t held = nb_held();
	return due + delay_ < caller_now ||
	       (policy_ == REFRAMER_ADAPTIVE && held > backlog_least &&
	        held * adaptive_.packet_ns() > 2 * static_cast<double>(delay_));
}

// What waits is max_packets at most, and what is due as many again.
uint32_t Stage::room(uint64_t caller_now) const
{
	const uint32_t held = nb_held() + nb_straight_held(), most = 2 * max_packets_;
	if (held >= most || backlogged(caller_now))
		return 0;
	return std::min(most - held, nb_free());
}

void Stage::get_stats(reframer_stats &out) const
{
	out = stats_;
	out.groups_held = groups_ + ready_groups_;
	out.packets_held = nb_held() + nb_straight_held();
	out.bytes_held = held_bytes_;
	out.delay_ns = delay_;
	add_uncounted(nullptr, 0, out.hold_max_ns);
}

void Stage::hold_histogram(uint64_t *packets, uint32_t nb_buckets) const
{
	for (uint32_t bucket = 0; bucket < nb_buckets; bucket++) {
		packets[bucket] = 0;
		for (const auto &part : hold_histogram_)
			packets[bucket] += part[bucket];
	}
	uint64_t longest = 0;
	add_uncounted(packets, nb_buckets, longest);
}

void Stage::reset_stats()
{
	stats_ = {};
	for (auto &part : hold_histogram_)
		std::ranges::fill(part, 0);
	forget_uncounted();
	stats_.packets_held_max = waiting_ + nb_straight_held();
	adaptive_.rebase();
}

} // namespace reframer::stage
