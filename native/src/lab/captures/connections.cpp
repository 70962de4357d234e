#include "lab/captures/connections.hpp"

#include "jobs/job.hpp"
#include "lab/captures/connection_packet.hpp"

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
// Every timeout that there is, a class of the table each. 0 stands for never, and for not yet known.
constexpr std::array<uint32_t, 11> class_seconds = {0,   3,   10,  30,  60,     120,
                                                    180, 210, 300, 600, 432'000};
static_assert(class_seconds.size() <= CONNTRACK_NB_CLASSES);
// A connection whose sides answer each other for so long is a stream (nf_conntrack).
constexpr uint64_t stream_after_ns = 2 * second;

uint32_t class_of(uint32_t seconds)
{
	return static_cast<uint32_t>(std::find(class_seconds.begin(), class_seconds.end(), seconds) -
	                             class_seconds.begin());
}

bool is_syn(const TcpSegment &s)
{
	return (s.flags & (TcpSegment::syn | TcpSegment::ack)) == TcpSegment::syn;
}

bool is_syn_ack(const TcpSegment &s)
{
	return (s.flags & (TcpSegment::syn | TcpSegment::ack)) == (TcpSegment::syn | TcpSegment::ack);
}

} // namespace

api::FlowTable ConnectionTracker::make_table(uint32_t key_size, bool expire)
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.key_size = key_size;
	p.max_flows = uint64_t{1} << 26;
	// Coarse enough that five days fit, fine beside the shortest timeout, 3 s.
	p.tick_ns = 100'000'000;
	for (unsigned c = 0; c < CONNTRACK_NB_CLASSES; c++)
		p.timeout_ns[c] = expire && c < class_seconds.size() ? class_seconds[c] * second : 0;
	api::FlowTable table = api::create<api::FlowTable>(conntrack_create, p);
	if (!table)
		throw std::bad_alloc();
	return table;
}

ConnectionTracker::ConnectionTracker(bool expire) : expire_(expire)
{
	for (Keys *keys : {&ipv4_, &ipv6_}) {
		keys->size = keys == &ipv4_ ? CONNTRACK_KEY_IPV4 : CONNTRACK_KEY_IPV6;
		keys->table = make_table(keys->size, expire);
	}
}

double ConnectionTracker::bytes_per_flow() const
{
	uint64_t bytes = 0, flows = 0;
	for (const Keys *keys : {&ipv4_, &ipv6_}) {
		conntrack_stats stats;
		conntrack_get_stats(keys->table.get(), &stats);
		if (stats.flows == 0)
			continue;
		bytes += stats.bytes;
		flows += stats.flows;
	}
	return double(bytes) / double(std::max<uint64_t>(flows, 1));
}

// @return whether it is of a connection that can be read.
bool ConnectionTracker::arrive(const packet::Frame &frame, uint64_t next_ns, Arrival &a)
{
	if (packets_++ == 0)
		origin_ns_ = frame.time_ns;
	a.now = clock_(frame.time_ns, next_ns, packets_);
	a.seen = clock_.seen();
	a.frame = &frame;
	a.headers = packet::parse(frame, packet::Depth::outer);
	const packet::Headers &h = a.headers;
	if (h.version == 0 || h.fragment_offset != 0 ||
	    ((h.protocol == tcp || h.protocol == udp) && !(h.flags & packet::header_ports))) {
		untracked_++;
		return false;
	}
	a.ends = read_ends(frame, h);
	a.segment = {};
	if (h.protocol == tcp && h.flags & packet::header_tcp_flags)
		a.segment = read_segment(frame, h);
	return true;
}

void ConnectionTracker::add_key(uint32_t arrival)
{
	const Ends &e = arrivals_[arrival].ends;
	Keys &keys = e.version == 4 ? ipv4_ : ipv6_;
	uint8_t *key = keys.bytes + size_t{keys.count} * keys.size;
	if (e.version == 4)
		conntrack_key_ipv4(key, e.source + 12, e.destination + 12, e.source_port,
		                   e.destination_port, e.protocol);
	else
		conntrack_key_ipv6(key, e.source, e.destination, e.source_port, e.destination_port,
		                   e.protocol);
	conntrack_key_symmetric(key, keys.size);
	keys.of[keys.count++] = arrival;
}

// The table takes a time that is further from its last call than 16,383 of its ticks for one as far as
// those, and would sweep out what has just come.
constexpr uint64_t longest_burst_ns = 1'000'000'000'000;

// The table sweeps out what is over. Whether a packet's connection is, is judged in is_over(), to the
// nanosecond: a packet that is not of a connection must not refresh it either.
void ConnectionTracker::look_up(Keys &keys)
{
	if (keys.count == 0)
		return;
	if (expire_)
		conntrack_expire(keys.table.get(), arrivals_[keys.of[0]].now, 2 * keys.count);
	void *states[burst_size];
	uint8_t results[burst_size];
	const uint32_t found = conntrack_find_or_insert_burst(
		keys.table.get(), keys.bytes, nullptr, keys.count, CONNTRACK_NO_TIME, states, results);
	if (found != keys.count)
		throw JobError("too-many-flows", "the capture has more than 2^26 connections at a time");
	for (uint32_t i = 0; i < keys.count; i++) {
		Arrival &a = arrivals_[keys.of[i]];
		a.state = states[i];
		a.is_new = results[i] & CONNTRACK_NEW;
		uint64_t index;
		std::memcpy(&index, states[i], sizeof(index));
		if (!a.is_new)
			kept_.prefetch(index);
	}
	keys.count = 0;
}

void ConnectionTracker::add(std::span<const packet::Frame> frames, uint64_t next_ns)
{
	for (size_t at = 0; at < frames.size();) {
		uint32_t count = 0;
		const uint64_t first_ns = frames[at].time_ns;
		for (; at < frames.size() && count < burst_size; at++) {
			const uint64_t ns = frames[at].time_ns;
			if ((ns > first_ns ? ns - first_ns : first_ns - ns) > longest_burst_ns)
				break;
			const uint64_t next = at + 1 < frames.size() ? frames[at + 1].time_ns : next_ns;
			if (arrive(frames[at], next, arrivals_[count]))
				add_key(count++);
		}
		look_up(ipv4_);
		look_up(ipv6_);
		for (uint32_t i = 0; i < count; i++)
			track(arrivals_[i]);
	}
}

void ConnectionTracker::track(const Arrival &a)
{
	// Of a key that came before in this burst the index is there only now.
	uint64_t known;
	std::memcpy(&known, a.state, sizeof(known));
	auto index = static_cast<uint32_t>(known);
	if (a.is_new || is_over(index, a, kept_.is_reply(index, a.ends)))
		index = begin(a);
	const bool reply = kept_.is_reply(index, a.ends);
	if (a.ends.protocol == tcp)
		index = step_tcp(index, a, reply);
	else
		track_other(index, a);
	count(index, a, kept_.is_reply(index, a.ends));
	known = index;
	std::memcpy(a.state, &known, sizeof(known));
	if (expire_)
		arm(a, index);
}

// Timeouts of what is not TCP.
void ConnectionTracker::track_other(uint32_t index, const Arrival &a)
{
	if (!expire_)
		return;
	const bool answered = kept_.packets(index, true) > 0; // before this packet
	switch (a.ends.protocol) {
	case udp:
	case udp_lite:
		return set_timeout(index, a.now,
		                   answered && a.now - timings_[index].began_ns > stream_after_ns
		                       ? conntrack::udp_stream_timeout_seconds
		                       : conntrack::udp_timeout_seconds);
	case gre:
		return set_timeout(index, a.now,
		                   answered ? conntrack::gre_stream_timeout_seconds
		                            : conntrack::gre_timeout_seconds);
	case icmp:
	case icmp6:
		return set_timeout(index, a.now, conntrack::icmp_timeout_seconds);
	case sctp:
		return track_sctp(index, a);
	default:
		return set_timeout(index, a.now, conntrack::generic_timeout_seconds);
	}
}

void ConnectionTracker::track_sctp(uint32_t index, const Arrival &a)
{
	Association &known = associations_[index];
	const bool reply = kept_.is_reply(index, a.ends);
	const bool is_first = known.sctp.state() == conntrack::SctpState::none;
	if (is_first)
		known.turned = reply;
	const packet::Frame &frame = *a.frame;
	const uint32_t captured = frame.captured > a.headers.l4 ? frame.captured - a.headers.l4 : 0;
	const uint32_t seconds =
		known.sctp.add(frame.data + a.headers.l4, captured, reply != known.turned);
	if (seconds != 0)
		set_timeout(index, a.now, seconds);
	else if (is_first) // nf_conntrack has none that it finds in the middle
		set_timeout(index, a.now, conntrack::sctp_timeout_seconds);
}

// Puts the table's entry into the class whose timeout, from now on, is the first that ends behind the
// connection's own.
void ConnectionTracker::arm(const Arrival &a, uint32_t index)
{
	const uint64_t expires = expires_ns(index);
	const uint64_t left = expires == UINT64_MAX ? 0
	                      : expires > a.now     ? (expires - a.now + second - 1) / second
	                                            : 1;
	const auto fits = std::find_if(class_seconds.begin() + 1, class_seconds.end(),
	                               [&](uint32_t s) { return s >= left; });
	const Keys &keys = a.ends.version == 4 ? ipv4_ : ipv6_;
	conntrack_set_class(
		keys.table.get(), a.state,
		left == 0 ? 0 : class_of(fits == class_seconds.end() ? class_seconds.back() : *fits),
		a.now);
}

uint32_t ConnectionTracker::begin(const Arrival &a)
{
	if (kept_.size() == UINT32_MAX - 1)
		throw JobError("too-many-flows", "the capture has 2^32 connections");
	if (expire_)
		timings_.add({a.now, UINT64_MAX});
	return kept_.begin(a.ends, a.frame->time_ns);
}

bool ConnectionTracker::is_over(uint32_t index, const Arrival &a, bool reply)
{
	if (expire_ && a.seen >= expires_ns(index))
		return true;
	if (a.ends.protocol != tcp)
		return false;
	const Kept &c = kept_[index];
	if (expire_)
		return c.has(Kept::tcp_ended) && TcpConnection::may_begin(a.segment);
	// A SYN with another number, on ports whose connection is over or never came to be.
	const bool alive = c.has(Kept::followed) && c.state != TcpState::syn_sent &&
	                   c.state != TcpState::time_wait && c.state != TcpState::close;
	return !alive && begins_with_another_number(index, a.segment, reply);
}

bool ConnectionTracker::begins_with_another_number(uint32_t index, const TcpSegment &s, bool reply)
{
	return is_syn(s) && kept_[index].syn_known & 1 << reply &&
	       kept_.part(index).syn_sequence[reply] != s.sequence;
}

// A SYN in the middle was no stray: what it opened begins with it.
uint32_t ConnectionTracker::open_doubtful(uint32_t index, const Arrival &a, const Doubtful &first)
{
	kept_.take_back(index, first.reply, 1, first.bytes);
	Kept &before = kept_[index];
	if (before.last_ns == first.time_ns)
		before.last_ns = first.last_ns;
	const uint32_t opened = begin(a);
	Kept &c = kept_[opened];
	kept_.turn(opened);
	c.first_ns = c.last_ns = first.time_ns;
	kept_.add(opened, false, 1, first.bytes);
	TcpPart part;
	KeptConnections::note_sequences(c, part, first.segment, false);
	part.tcp = TcpConnection(first.segment);
	part.tcp.add(first.segment, false);
	c.set(Kept::followed);
	kept_.keep_part(opened, part);
	return opened;
}

// The connection that the segment belongs to: this one or the next on its ports.
uint32_t ConnectionTracker::step_tcp(uint32_t index, const Arrival &a, bool reply)
{
	using Outcome = TcpConnection::Outcome;
	const TcpSegment &s = a.segment;
	const auto doubt = doubtful_.find(index);
	if (!expire_ && doubt != doubtful_.end() && is_syn_ack(s) && doubt->second.reply != reply &&
	    s.acknowledged == doubt->second.segment.end) {
		const Doubtful first = doubt->second;
		doubtful_.erase(doubt);
		index = open_doubtful(index, a, first);
		reply = true;
	}
	TcpPart fresh;
	bool is_first = kept_[index].tcp == Kept::no_tcp;
	TcpPart *part = is_first ? &fresh : &kept_.part(index);
	const auto follow = [&] {
		part->tcp = TcpConnection(s);
		kept_[index].set(Kept::followed);
		kept_[index].set(Kept::turned, reply);
	};
	const auto done = [&] {
		KeptConnections::note_sequences(kept_[index], *part, s, reply);
		if (is_first)
			kept_.keep_segment(index, s);
		return index;
	};
	if (!kept_[index].has(Kept::followed)) {
		if (!TcpConnection::may_begin(s))
			return done();
		follow();
	}
	TcpConnection::Step step = part->tcp.add(s, reply != kept_[index].has(Kept::turned));
	if (step.outcome == Outcome::reopened) {
		if (expire_) {
			index = begin(a);
			is_first = true;
			part = &fresh;
			reply = false;
		}
		follow();
		step = part->tcp.add(s, false);
	}
	Kept &c = kept_[index];
	if (step.outcome == Outcome::ended) {
		c.state = TcpState::close;
		c.set(Kept::followed, false);
		c.set(Kept::tcp_ended);
		set_timeout(index, a.now, conntrack::tcp_timeout_seconds(TcpState::close));
	} else {
		c.state = part->tcp.state();
	}
	if (step.outcome == Outcome::accepted && step.timeout_seconds)
		set_timeout(index, a.now, step.timeout_seconds);
	else if (step.outcome == Outcome::invalid && step.timeout_seconds &&
	         expires_ns(index) > a.now + step.timeout_seconds * second)
		set_timeout(index, a.now, step.timeout_seconds);
	if (step.outcome == Outcome::accepted || step.outcome == Outcome::ended)
		doubtful_.erase(index);
	else if (is_syn(s) && !s.broken && !is_first && begins_with_another_number(index, s, reply))
		doubtful_[index] = {s, a.frame->time_ns, c.last_ns, a.frame->wire, reply};
	return done();
}

void ConnectionTracker::count(uint32_t index, const Arrival &a, bool reply)
{
	kept_.add(index, reply, 1, a.frame->wire);
	// Clocks of captures step back.
	Kept &c = kept_[index];
	c.first_ns = std::min(c.first_ns, a.frame->time_ns);
	c.last_ns = std::max(c.last_ns, a.frame->time_ns);
}

void ConnectionTracker::set_timeout(uint32_t index, uint64_t now, uint32_t seconds)
{
	if (expire_)
		timings_[index].expires_ns = now + seconds * second;
}

} // namespace reframer::lab
