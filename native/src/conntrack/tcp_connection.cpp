#include "conntrack/tcp_connection.hpp"

#include <algorithm>

namespace reframer::conntrack {

namespace {

// So far behind an acknowledgement may come: late, but of this connection. Larger windows give more.
constexpr uint32_t least_late_window = 66'000;
constexpr unsigned most_repeated = 3;             // nf_conntrack_tcp_max_retrans
constexpr uint32_t least_shortened_seconds = 300; // see out_of_window()

bool after(uint32_t a, uint32_t b)
{
	return before(b, a);
}

} // namespace

bool TcpConnection::may_begin(const TcpSegment &s)
{
	return !s.broken && tcp_step(TcpState::none, s.flags, false).verdict == TcpVerdict::valid;
}

TcpConnection::TcpConnection(const TcpSegment &first)
{
	Side &side = sides_[0];
	side.end = side.limit = first.end;
	side.window = std::max<uint32_t>(first.window, 1);
	if (tcp_kind(first.flags) == TcpKind::syn) {
		side.scale = first.scale;
		side.has_scale = first.has_scale;
		side.sack_permitted = first.sack_permitted;
		return;
	}
	// Under way: its options are unknown, so nothing is judged by the window.
	side.limit += side.window;
	for (Side &each : sides_)
		each.sack_permitted = each.liberal = true;
}

// The first segment of a side.
void TcpConnection::begin_side(Side &sender, Side &receiver, const TcpSegment &s, bool reply)
{
	sender.end = sender.limit = s.end;
	sender.window = std::max<uint32_t>(s.window, 1);
	sender.scale = s.scale;
	sender.has_scale = s.has_scale;
	sender.sack_permitted = s.sack_permitted;
	sender.has_acknowledged = sender.unacknowledged_data = sender.closed_first = false;
	// Windows are scaled if both sides offer it.
	if (reply && !(sender.has_scale && receiver.has_scale))
		sender.scale = receiver.scale = 0;
}

// Is the segment within what its sender may send, and does it acknowledge what was sent? And if so,
// what it tells of both sides.
TcpConnection::Window TcpConnection::check_window(const TcpSegment &s, bool reply, TcpKind kind)
{
	Side &sender = sides_[reply], &receiver = sides_[!reply];
	const bool syn = s.flags & TcpSegment::syn, has_ack = s.flags & TcpSegment::ack;
	uint32_t sequence = s.sequence, end = s.end, acknowledged = s.acknowledged;
	uint32_t furthest = receiver.sack_permitted ? s.selectively : s.acknowledged;
	uint32_t window = s.window;
	if (sender.window == 0) {
		if (syn) {
			begin_side(sender, receiver, s, reply);
			if (!has_ack)
				return Window::inside; // both sides open at a time
		} else {
			sender.end = end;
			sender.window = std::max<uint32_t>(window << sender.scale, 1);
			sender.limit = end + sender.window;
			if (receiver.window == 0)
				receiver.end = receiver.limit = furthest;
			else if (furthest == receiver.end + 1)
				receiver.end++; // answers a keep-alive
		}
	} else if (syn && after(end, sender.end) &&
	           (state_ == TcpState::syn_sent || state_ == TcpState::syn_recv)) {
		begin_side(sender, receiver, s, reply); // begun anew, with a later number
		if (reply && !has_ack)
			return Window::inside;
	}
	// Without an acknowledgement, or with one of nothing in a reset: as if it were the right one.
	if (!has_ack || (s.flags & TcpSegment::rst && acknowledged == 0))
		acknowledged = furthest = receiver.end;
	if (s.flags & TcpSegment::rst && sequence == 0 && state_ == TcpState::syn_sent)
		sequence = end = sender.end; // a reset in answer to a SYN

	const uint32_t lowest_ack = receiver.end - std::max(sender.window, least_late_window) - 1;
	const auto judge = [&](Window window) { return sender.liberal ? Window::inside : window; };
	const bool in_receive_window =
		receiver.window == 0 || after(end, sender.end - receiver.window - 1);
	if (!before(sequence, sender.limit + 1)) {
		// More than the window allows, by less than a window: it may well be acknowledged.
		if (receiver.window != 0 && in_receive_window && after(furthest, lowest_ack) &&
		    end - sender.limit + 1 <= receiver.window && before(furthest, receiver.end + 1)) {
			sender.end = end;
			sender.unacknowledged_data = true;
			return judge(Window::ignored);
		}
		return judge(Window::outside);
	}
	if (!before(furthest, receiver.end + 1))
		return judge(Window::outside); // acknowledges what was not sent
	if (!in_receive_window || !after(furthest, lowest_ack))
		return judge(Window::ignored); // late

	if (!syn)
		window <<= sender.scale;
	sender.window = std::max(sender.window, window + (furthest - acknowledged));
	if (after(end, sender.end)) {
		sender.end = end;
		sender.unacknowledged_data = true;
	}
	if (has_ack && (!sender.has_acknowledged || after(acknowledged, sender.acknowledged))) {
		sender.acknowledged = acknowledged;
		sender.has_acknowledged = true;
	}
	if (receiver.window != 0 && after(end, sender.limit))
		receiver.window += end - sender.limit;
	if (after(furthest + window, receiver.limit - 1))
		receiver.limit = furthest + window + (window == 0);
	if (acknowledged == receiver.end)
		receiver.unacknowledged_data = false;
	if (kind == TcpKind::ack) {
		const bool same = last_.reply == reply && last_.sequence == sequence &&
		                  last_.acknowledged == acknowledged && last_.end == end &&
		                  last_.window == s.window;
		repeated_ = static_cast<uint8_t>(same ? std::min(repeated_ + 1, 255) : 0);
		last_.reply = reply;
		last_.sequence = sequence;
		last_.acknowledged = acknowledged;
		last_.end = end;
		last_.window = s.window;
	}
	return Window::inside;
}

void TcpConnection::note_ignored(const TcpSegment &s, bool reply, TcpState before)
{
	const TcpKind kind = tcp_kind(s.flags);
	last_.kind = kind;
	last_.reply = reply;
	last_.sequence = s.sequence;
	last_.end = s.end;
	last_.window = s.window;
	if (kind == TcpKind::syn && !reply) {
		ignored_syn_.scale = s.scale;
		ignored_syn_.has_scale = s.has_scale;
		ignored_syn_.sack_permitted = s.sack_permitted;
		// An end that takes it for an attack answers with an ACK, which must not pass for that of
		// the last FIN (RFC 5961).
		expects_challenge_ = before == TcpState::last_ack;
		simultaneous_ = false;
	}
	if (before == TcpState::syn_sent && kind == TcpKind::ack && reply)
		last_.acknowledged = s.acknowledged;
}

bool TcpConnection::answers_ignored(const TcpSegment &s, bool reply) const
{
	return tcp_kind(s.flags) == TcpKind::syn_ack && last_.kind == TcpKind::syn &&
	       last_.reply != reply && s.acknowledged == last_.end;
}

// RFC 5961, 3.2: a reset counts if its number is exactly the next one; a later one is answered with a
// challenge, so an established connection stays as it is; an earlier one is none.
TcpConnection::Reset TcpConnection::judge_reset(const TcpSegment &s, bool reply) const
{
	// The ports may be in use again already, and nothing known hold any more.
	if (state_ >= TcpState::fin_wait && state_ <= TcpState::close)
		return Reset::fits;
	const bool settled = assured_ && state_ == TcpState::established;
	const Side &receiver = sides_[!reply];
	// Behind a SYN in the middle what was acknowledged before says nothing.
	if (!receiver.has_acknowledged || last_.kind == TcpKind::syn)
		return Reset::unknown;
	if (s.sequence == 0 && !settled) // an answer to a SYN
		return Reset::acknowledged;
	if (before(s.sequence, receiver.acknowledged))
		return Reset::invalid;
	const bool behind_data =
		last_.kind == TcpKind::ack && last_.reply == reply && s.sequence == last_.end;
	if (!settled || s.sequence == receiver.acknowledged || behind_data)
		return Reset::acknowledged;
	return Reset::challenged;
}

TcpConnection::Step TcpConnection::out_of_window(bool reply, TcpKind kind)
{
	if (!assured_ || (kind != TcpKind::rst && kind != TcpKind::fin))
		return {Outcome::invalid};
	// Both ends seem to have closed, out of step with what was seen: no need to wait five days.
	if (last_.reply != reply && (last_.kind == TcpKind::fin || last_.kind == TcpKind::rst))
		return {Outcome::invalid, least_shortened_seconds};
	last_.kind = kind;
	last_.reply = reply;
	return {Outcome::invalid};
}

TcpConnection::Step TcpConnection::timeout_of(TcpState next, TcpState before, TcpKind kind)
{
	uint32_t timeout = tcp_timeout_seconds(next);
	const bool unacknowledged = sides_[0].unacknowledged_data || sides_[1].unacknowledged_data;
	if (repeated_ >= most_repeated)
		timeout = std::min(timeout, tcp_repeated_timeout_seconds);
	else if (kind == TcpKind::rst)
		timeout = tcp_timeout_seconds(TcpState::close);
	else if (unacknowledged)
		timeout = std::min(timeout, tcp_unacknowledged_timeout_seconds);
	else if (last_.window == 0)
		timeout = std::min(timeout, tcp_repeated_timeout_seconds);
	if (!answered_) {
		if (kind == TcpKind::rst)
			return {Outcome::ended};
		if (kind == TcpKind::syn && before == TcpState::syn_sent)
			return {Outcome::accepted}; // a SYN over and over keeps nothing alive
		if (next == TcpState::established)
			timeout = std::min(timeout, tcp_unacknowledged_timeout_seconds);
	} else if (next == TcpState::established &&
	           (before == TcpState::syn_recv || before == TcpState::established)) {
		assured_ = true;
	}
	return {Outcome::accepted, timeout};
}

TcpConnection::Step TcpConnection::add(const TcpSegment &s, bool reply)
{
	if (s.broken)
		return {Outcome::invalid};
	const TcpKind kind = tcp_kind(s.flags);
	TcpState before = state_;
	const TcpStep step = tcp_step(state_, s.flags, reply);
	if (step.verdict == TcpVerdict::invalid)
		return {Outcome::invalid};
	TcpState next = step.state;
	bool ignored = step.verdict == TcpVerdict::ignored, looks_inside = true;
	if (!ignored && next == TcpState::syn_sent &&
	    (before == TcpState::time_wait || before == TcpState::close)) {
		if (sides_[0].closed_first || sides_[1].closed_first ||
		    (last_.reply == reply && last_.kind == TcpKind::rst))
			return {Outcome::reopened};
		ignored = true;
	}
	if (ignored) {
		if (!answers_ignored(s, reply)) {
			note_ignored(s, reply, before);
			answered_ |= reply;
			return {Outcome::ignored};
		}
		// The ends are of one mind, and we were not: what the SYN told counts from here on.
		Side &opener = sides_[last_.reply];
		const uint32_t window = std::max<uint32_t>(last_.window, 1);
		opener = {};
		opener.scale = ignored_syn_.scale;
		opener.has_scale = ignored_syn_.has_scale;
		opener.sack_permitted = ignored_syn_.sack_permitted;
		opener.end = opener.limit = last_.end;
		opener.window = window;
		sides_[reply] = {};
		expects_challenge_ = false;
		before = TcpState::syn_sent;
		next = TcpState::syn_recv;
	} else if (next == TcpState::time_wait) {
		if (before == TcpState::last_ack && kind == TcpKind::ack && last_.reply != reply &&
		    last_.kind == TcpKind::syn && expects_challenge_) {
			expects_challenge_ = false;
			answered_ |= reply;
			return {Outcome::ignored};
		}
	} else if (next == TcpState::syn_sent2) {
		simultaneous_ = true;
	} else if (next == TcpState::syn_recv) {
		if (reply && kind == TcpKind::ack && simultaneous_)
			next = TcpState::established;
	} else if (next == TcpState::close && kind == TcpKind::rst) {
		const Reset reset = judge_reset(s, reply);
		if (reset == Reset::invalid)
			return {Outcome::invalid};
		if (reset == Reset::challenged)
			next = before;
		// A reset of what was let pass above: a SYN in the middle, or an ACK in answer to a first SYN.
		const bool of_syn = answered_ && last_.kind == TcpKind::syn && last_.reply != reply;
		const bool of_ack = !assured_ && last_.kind == TcpKind::ack;
		const bool of_ignored =
			reset != Reset::acknowledged && (of_syn || of_ack) && s.acknowledged == last_.end;
		const bool of_challenge = before == TcpState::syn_sent && last_.kind == TcpKind::ack &&
		                          last_.reply && s.sequence == last_.acknowledged;
		looks_inside = reset != Reset::fits && !of_ignored && !of_challenge;
	}
	if (looks_inside) {
		switch (check_window(s, reply, kind)) {
		case Window::ignored:
			answered_ |= reply;
			return {Outcome::ignored};
		case Window::outside:
			return out_of_window(reply, kind);
		case Window::inside:
			break;
		}
	}
	last_.kind = kind;
	last_.reply = reply;
	if (state_ != next && next == TcpState::fin_wait)
		sides_[reply].closed_first = true;
	state_ = next;
	const Step done = timeout_of(next, before, kind);
	answered_ |= reply;
	return done;
}

} // namespace reframer::conntrack
