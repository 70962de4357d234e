#include "lab/captures/connections.hpp"

#include "jobs/job.hpp"
#include "packet/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace reframer::lab {

using conntrack::TcpConnection;
using conntrack::TcpSegment;
using conntrack::TcpState;

namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr uint8_t icmp = 1, tcp = 6, udp = 17, gre = 47, icmp6 = 58, sctp = 132, udp_lite = 136;
// nf_conntrack's for SCTP: an association, and one that begins or ends.
constexpr uint32_t sctp_timeout_seconds = 210, sctp_handshake_timeout_seconds = 3;
// Every timeout that there is, a class of the table each. 0 stands for never, and for not yet known.
constexpr std::array<uint32_t, 11> class_seconds = {0,   3,   10,  30,  60,     120,
                                                    180, 210, 300, 600, 432'000};
static_assert(class_seconds.size() <= CONNTRACK_NB_CLASSES);
// Beyond the shortest timeouts, which a wrong time would end, and above any disorder of interfaces.
constexpr uint64_t leap_ns = 10 * second;
// A connection whose sides answer each other for so long is a stream (nf_conntrack).
constexpr uint64_t stream_after_ns = 2 * second;

uint32_t class_of(uint32_t seconds)
{
	return static_cast<uint32_t>(std::find(class_seconds.begin(), class_seconds.end(), seconds) -
	                             class_seconds.begin());
}

Connection read_tuple(const packet::Frame &frame, const packet::Headers &h)
{
	Connection c{};
	const uint8_t *ip = frame.data + h.l3;
	if (h.version == 4) {
		c.source[10] = c.source[11] = c.destination[10] = c.destination[11] = 0xff;
		std::memcpy(c.source + 12, ip + 12, 4);
		std::memcpy(c.destination + 12, ip + 16, 4);
	} else {
		std::memcpy(c.source, ip + 8, 16);
		std::memcpy(c.destination, ip + 24, 16);
	}
	c.version = h.version;
	c.protocol = h.protocol;
	if (h.flags & packet::header_ports) {
		c.source_port = h.source_port;
		c.destination_port = h.destination_port;
	}
	return c;
}

TcpSegment read_segment(const packet::Frame &frame, const packet::Headers &h)
{
	const uint32_t captured = frame.captured > h.l4 ? frame.captured - h.l4 : 0;
	const uint32_t length =
		h.flags & packet::header_payload ? h.payload - h.l4 + h.payload_length : captured;
	return conntrack::read_tcp(frame.data + h.l4, captured, length);
}

bool is_syn(const TcpSegment &s)
{
	return (s.flags & (TcpSegment::syn | TcpSegment::ack)) == TcpSegment::syn;
}

bool is_syn_ack(const TcpSegment &s)
{
	return (s.flags & (TcpSegment::syn | TcpSegment::ack)) == (TcpSegment::syn | TcpSegment::ack);
}

bool begins_with_another_number(const Connection &c, const TcpSegment &s, bool reply)
{
	return is_syn(s) && c.syn_known[reply] && c.syn_sequence[reply] != s.sequence;
}

void note_sequences(Connection &c, const TcpSegment &s, bool reply)
{
	const auto note = [&](bool direction, uint32_t sequence) {
		if (!c.syn_known[direction])
			c.syn_sequence[direction] = sequence;
		c.syn_known[direction] = true;
	};
	note(reply, s.sequence - (s.flags & TcpSegment::syn ? 0 : 1));
	if (s.flags & TcpSegment::ack)
		note(!reply, s.acknowledged - 1);
}

// By the last chunk that tells: a handshake or an end under way, or neither.
uint32_t sctp_seconds(Connection &c, const packet::Frame &frame, const packet::Headers &h)
{
	constexpr uint8_t init = 1, init_ack = 2, abort = 6, shutdown = 7, shutdown_ack = 8,
					  cookie_echo = 10, cookie_ack = 11, shutdown_complete = 14;
	if (c.packets[0] + c.packets[1] == 0)
		c.associated = true; // unless it begins with a handshake
	uint32_t seconds = 0;
	for (uint64_t at = h.l4 + 12; at + 4 <= frame.captured;) {
		const uint8_t *chunk = frame.data + at;
		switch (chunk[0]) {
		case init:
		case init_ack:
		case cookie_echo:
			c.associated = false;
			break;
		case cookie_ack:
			c.associated = true;
			break;
		case shutdown:
		case shutdown_ack:
			seconds = sctp_handshake_timeout_seconds;
			break;
		case abort:
		case shutdown_complete:
			seconds = conntrack::tcp_timeout_seconds(TcpState::close);
			break;
		default:
			break;
		}
		const uint32_t length = packet::be16(chunk + 2);
		at += (std::max(length, 4u) + 3) & ~3u;
	}
	if (seconds == 0)
		seconds = c.associated ? sctp_timeout_seconds : sctp_handshake_timeout_seconds;
	return seconds;
}

std::string seconds_text(uint64_t ns)
{
	return std::to_string(ns / second) + " s";
}

} // namespace

uint64_t BelievableClock::operator()(uint64_t time_ns, uint64_t next_ns, uint64_t packet)
{
	const uint64_t time = time_ns + offset_;
	if (!started_) {
		started_ = true;
		return seen_ = now_ = time;
	}
	if (time > now_ && time - now_ > leap_ns && next_ns < time_ns && time_ns - next_ns > leap_ns) {
		// The next packet goes back as far: this time stands alone.
		if (leaps_++ == 0) {
			first_leap_ = packet;
			leap_ns_ = time - now_;
		}
		seen_ = time;
		return now_;
	}
	if (time < now_ && now_ - time > leap_ns) {
		if (steps_back_++ == 0) {
			first_step_ = packet;
			step_ns_ = now_ - time;
		}
		offset_ += now_ - time;
		return seen_ = now_;
	}
	return seen_ = now_ = std::max(now_, time);
}

std::vector<std::string> BelievableClock::warnings() const
{
	std::vector<std::string> all;
	if (leaps_)
		all.push_back(
			"packet " + std::to_string(first_leap_) + " has a time " + seconds_text(leap_ns_) +
			" ahead of its neighbours" +
			(leaps_ > 1 ? ", and so have " + std::to_string(leaps_ - 1) + " others" : "") +
			": it ends no connection but its own");
	if (steps_back_)
		all.push_back("at packet " + std::to_string(first_step_) + " the time steps back by " +
		              seconds_text(step_ns_) +
		              (steps_back_ > 1
		                   ? ", and " + std::to_string(steps_back_ - 1) + " times more behind it"
		                   : "") +
		              ": timeouts go on from there");
	return all;
}

ConnectionTracker::ConnectionTracker(bool expire) : expire_(expire)
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.key_size = CONNTRACK_KEY_IPV6;
	p.max_flows = uint64_t{1} << 26;
	// Coarse enough that five days fit, fine beside the shortest timeout, 3 s.
	p.tick_ns = 100'000'000;
	for (unsigned c = 0; c < CONNTRACK_NB_CLASSES; c++)
		p.timeout_ns[c] = expire && c < class_seconds.size() ? class_seconds[c] * second : 0;
	conntrack_table *t = nullptr;
	if (conntrack_create(&p, &t) != 0)
		throw std::bad_alloc();
	table_.reset(t);
}

double ConnectionTracker::bytes_per_flow() const
{
	conntrack_stats stats;
	conntrack_get_stats(table_.get(), &stats);
	return double(stats.bytes) / double(std::max<uint64_t>(stats.flows, 1));
}

void ConnectionTracker::add(const packet::Frame &frame, uint64_t next_ns)
{
	if (packets_++ == 0)
		origin_ns_ = frame.time_ns;
	const uint64_t now = clock_(frame.time_ns, next_ns, packets_);
	const packet::Headers h = packet::parse(frame, packet::Depth::outer);
	if (h.version == 0 || h.fragment_offset != 0 ||
	    ((h.protocol == tcp || h.protocol == udp) && !(h.flags & packet::header_ports))) {
		untracked_++;
		return;
	}
	const Connection tuple = read_tuple(frame, h);
	uint8_t key[CONNTRACK_KEY_IPV6];
	conntrack_key_ipv6(key, tuple.source, tuple.destination, tuple.source_port,
	                   tuple.destination_port, tuple.protocol);
	conntrack_key_symmetric(key, sizeof(key));
	// The table sweeps out what is over. Whether this packet's connection is, is judged below, to the
	// nanosecond: a packet that is not of a connection must not refresh it either.
	if (expire_)
		conntrack_expire(table_.get(), now, 2);
	int is_new = 0;
	void *state = conntrack_find_or_insert(table_.get(), key, nullptr, CONNTRACK_NO_TIME, &is_new);
	if (!state)
		throw JobError("too-many-flows", "the capture has more than 2^26 connections at a time");
	Arrival arrival = {frame, h, tuple, now, clock_.seen(), {}};
	if (h.protocol == tcp && h.flags & packet::header_tcp_flags)
		arrival.segment = read_segment(frame, h);
	uint64_t index;
	std::memcpy(&index, state, sizeof(index));
	const auto is_reply = [&] {
		const Connection &c = connections_[index];
		return std::memcmp(c.source, tuple.source, 16) != 0 || c.source_port != tuple.source_port;
	};
	if (is_new || is_over(connections_[index], arrival, is_reply()))
		index = begin(arrival);
	if (tuple.protocol == tcp)
		index = step_tcp(index, arrival, is_reply());
	Connection &c = connections_[index];
	const bool reply = is_reply();
	const bool answered = c.packets[1] > 0; // before this packet
	if (tuple.protocol == udp || tuple.protocol == udp_lite)
		set_timeout(c, now,
		            answered && now - c.began_ns > stream_after_ns
		                ? conntrack::udp_stream_timeout_seconds
		                : conntrack::udp_timeout_seconds);
	else if (tuple.protocol == gre)
		set_timeout(c, now,
		            answered ? conntrack::gre_stream_timeout_seconds
		                     : conntrack::gre_timeout_seconds);
	else if (tuple.protocol == icmp || tuple.protocol == icmp6)
		set_timeout(c, now, conntrack::icmp_timeout_seconds);
	else if (tuple.protocol == sctp)
		set_timeout(c, now, sctp_seconds(c, frame, h));
	else if (tuple.protocol != tcp)
		set_timeout(c, now, conntrack::generic_timeout_seconds);
	count(c, arrival, reply);
	std::memcpy(state, &index, sizeof(index));
	if (!expire_)
		return;
	// The class whose timeout, from now on, is the first that ends behind the connection's own.
	const uint64_t left = c.expires_ns == UINT64_MAX ? 0
	                      : c.expires_ns > now       ? (c.expires_ns - now + second - 1) / second
	                                                 : 1;
	const auto fits = std::find_if(class_seconds.begin() + 1, class_seconds.end(),
	                               [&](uint32_t s) { return s >= left; });
	conntrack_set_class(
		table_.get(), state,
		left == 0 ? 0 : class_of(fits == class_seconds.end() ? class_seconds.back() : *fits), now);
}

uint64_t ConnectionTracker::begin(const Arrival &arrival)
{
	connections_.push_back(arrival.tuple);
	Connection &c = connections_.back();
	c.first_ns = arrival.frame.time_ns;
	c.began_ns = arrival.now;
	return connections_.size() - 1;
}

bool ConnectionTracker::is_over(const Connection &c, const Arrival &arrival, bool reply) const
{
	if (expire_ && arrival.seen >= c.expires_ns)
		return true;
	if (arrival.tuple.protocol != tcp)
		return false;
	if (expire_)
		return c.tcp_ended && TcpConnection::may_begin(arrival.segment);
	// A SYN with another number, on ports whose connection is over or never came to be.
	const bool alive = c.tcp && c.state != TcpState::syn_sent && c.state != TcpState::time_wait &&
	                   c.state != TcpState::close;
	return !alive && begins_with_another_number(c, arrival.segment, reply);
}

// The connection that the segment belongs to: this one or the next on its ports.
uint64_t ConnectionTracker::step_tcp(uint64_t index, const Arrival &arrival, bool reply)
{
	using Outcome = TcpConnection::Outcome;
	const TcpSegment &s = arrival.segment;
	Connection *c = &connections_[index];
	const auto doubt = doubtful_.find(index);
	if (!expire_ && doubt != doubtful_.end() && is_syn_ack(s) && doubt->second.reply != reply &&
	    s.acknowledged == doubt->second.segment.end) {
		// The SYN was no stray: what it opened begins with it.
		const Doubtful first = doubt->second;
		doubtful_.erase(doubt);
		c->packets[first.reply]--;
		c->bytes[first.reply] -= first.bytes;
		if (c->last_ns == first.time_ns)
			c->last_ns = first.last_ns;
		const uint64_t opened = begin(arrival);
		Connection &next = connections_[opened];
		std::swap_ranges(next.source, next.source + 16, next.destination);
		std::swap(next.source_port, next.destination_port);
		next.first_ns = next.last_ns = first.time_ns;
		next.packets[0] = 1;
		next.bytes[0] = first.bytes;
		note_sequences(next, first.segment, false);
		next.tcp.emplace(first.segment);
		next.tcp->add(first.segment, false);
		index = opened;
		reply = true;
		c = &next;
	}
	if (!c->tcp) {
		if (!TcpConnection::may_begin(s)) {
			note_sequences(*c, s, reply);
			return index;
		}
		c->tcp.emplace(s);
		c->turned = reply;
	}
	TcpConnection::Step step = c->tcp->add(s, reply != c->turned);
	if (step.outcome == Outcome::reopened) {
		if (expire_) {
			index = begin(arrival);
			c = &connections_[index];
			reply = false;
		}
		c->tcp.emplace(s);
		c->turned = reply;
		step = c->tcp->add(s, false);
	}
	if (step.outcome == Outcome::ended) {
		c->state = TcpState::close;
		c->tcp.reset();
		c->tcp_ended = true;
		set_timeout(*c, arrival.now, conntrack::tcp_timeout_seconds(TcpState::close));
	} else {
		c->state = c->tcp->state();
	}
	if (step.outcome == Outcome::accepted && step.timeout_seconds)
		set_timeout(*c, arrival.now, step.timeout_seconds);
	else if (step.outcome == Outcome::invalid && step.timeout_seconds &&
	         c->expires_ns > arrival.now + step.timeout_seconds * second)
		set_timeout(*c, arrival.now, step.timeout_seconds);
	const bool taken = step.outcome == Outcome::accepted || step.outcome == Outcome::ended;
	if (taken)
		doubtful_.erase(index);
	else if (is_syn(s) && !s.broken && begins_with_another_number(*c, s, reply))
		doubtful_[index] = {s, arrival.frame.time_ns, c->last_ns, arrival.frame.wire, reply};
	note_sequences(*c, s, reply);
	return index;
}

void ConnectionTracker::count(Connection &c, const Arrival &arrival, bool reply) const
{
	c.packets[reply]++;
	c.bytes[reply] += arrival.frame.wire;
	// Clocks of captures step back.
	c.first_ns = std::min(c.first_ns, arrival.frame.time_ns);
	c.last_ns = std::max(c.last_ns, arrival.frame.time_ns);
}

void ConnectionTracker::set_timeout(Connection &c, uint64_t now, uint32_t seconds) const
{
	c.expires_ns = expire_ ? now + seconds * second : UINT64_MAX;
}

} // namespace reframer::lab
