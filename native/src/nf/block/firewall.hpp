// A firewall by connections, as Linux's nf_conntrack follows them: states, windows, timeouts. What
// belongs to no connection is dropped.
#pragma once

#include "conntrack/tcp_connection.hpp"
#include "nf/block/functions.hpp"

#include <new>

namespace reframer::nf::block {

class ConnectionFirewall {
public:
	// TCP's 64 bytes; for UDP what its timeouts ask for. (A union would not be trivially copyable for
	// the connection's constructor.)
	struct State {
		alignas(8) uint8_t bytes[sizeof(conntrack::TcpConnection)];
		uint8_t timeout_class; // that the block is in
		uint8_t turned;        // the connection was opened again from the other side
		uint8_t zero[6];
	};
	static constexpr bool both_directions = true;

	void process(Run &run, Packets &packets, State &s, uint64_t now_ns)
	{
		if (run.layer4 == layer4_tcp)
			packets.each(run, [&](uint32_t i) { tcp(run, packets, i, s); });
		else if (run.layer4 == layer4_udp)
			udp(run, s, now_ns);
		else
			set_timeout(run, s, conntrack::icmp_timeout_seconds);
	}
	static uint64_t digest(const State &s)
	{
		uint64_t sum = s.timeout_class | uint64_t{s.turned} << 8, word;
		for (size_t at = 0; at < sizeof(s.bytes); at += sizeof(word)) {
			std::memcpy(&word, s.bytes + at, sizeof(word));
			sum = (sum ^ word) * 0x9e3779b97f4a7c15;
		}
		return sum;
	}
	// Sets one class for each timeout that nf_conntrack has. Class 0, a new flow's, is that of
	// protocols of which nothing is known.
	static void timeouts(conntrack_params &p)
	{
		for (uint32_t c = 0; c < nb_timeouts; c++)
			p.timeout_ns[c] = seconds[c] * 1'000'000'000ull;
	}

private:
	using Connection = conntrack::TcpConnection;
	struct Udp {
		uint64_t first_ns;
		uint8_t known, answered;
	};
	static_assert(sizeof(Udp) <= sizeof(State::bytes));

	static constexpr uint32_t seconds[] = {
		conntrack::generic_timeout_seconds, 10, 30, 60, 120, 300, 5 * 24 * 3600};
	static constexpr uint32_t nb_timeouts = std::size(seconds);

	static uint8_t class_of(uint32_t wanted)
	{
		for (uint8_t c = 1; c < nb_timeouts; c++)
			if (seconds[c] == wanted)
				return c;
		return 0;
	}

	// Every packet has armed its block's deadline already, by the class that it is in.
	static void set_timeout(Run &run, State &s, uint32_t wanted)
	{
		const uint8_t c = class_of(wanted);
		if (c != s.timeout_class)
			run.timeout_class = s.timeout_class = c;
	}

	static void tcp(Run &run, Packets &packets, uint32_t i, State &s)
	{
		using Outcome = Connection::Outcome;
		const Mbuf &m = *packets.mbuf[i];
		const uint32_t datagram = __builtin_bswap16(load16(m.data() + run.l3 + 2));
		const uint32_t header = run.l4 - run.l3;
		const conntrack::TcpSegment segment = conntrack::read_tcp(
			m.data() + run.l4, m.captured - run.l4, datagram > header ? datagram - header : 0);
		auto *c = std::launder(reinterpret_cast<Connection *>(s.bytes));
		if (c->state() == conntrack::TcpState::none) {
			if (!Connection::may_begin(segment)) {
				packets.drop(run, i, verdict_denied);
				return;
			}
			begin(s, segment, run.is_reply());
		}
		Connection::Step step = c->add(segment, run.is_reply() != (s.turned != 0));
		if (step.outcome == Outcome::reopened) {
			begin(s, segment, run.is_reply());
			step = c->add(segment, false);
		}
		if (step.timeout_seconds)
			set_timeout(run, s, step.timeout_seconds);
		if (step.outcome == Outcome::invalid)
			packets.drop(run, i, verdict_denied);
		if (step.outcome == Outcome::ended) {
			std::memset(s.bytes, 0, sizeof(s.bytes));
			set_timeout(run, s, conntrack::tcp_timeout_seconds(conntrack::TcpState::close));
		}
	}
	// Bytes between members must not keep what was there before: blocks are compared.
	static void begin(State &s, const conntrack::TcpSegment &first, bool reply)
	{
		std::memset(s.bytes, 0, sizeof(s.bytes));
		new (s.bytes) Connection(first);
		s.turned = reply;
	}
	// A stream, with the longer timeout, is what has been answered and goes on two seconds later.
	static void udp(Run &run, State &s, uint64_t now_ns)
	{
		Udp u;
		std::memcpy(&u, s.bytes, sizeof(u));
		if (!u.known)
			u = {now_ns, 1, 0};
		u.answered |= run.is_reply();
		const bool stream = u.answered && now_ns - u.first_ns >= 2'000'000'000;
		set_timeout(run, s,
		            stream ? conntrack::udp_stream_timeout_seconds
		                   : conntrack::udp_timeout_seconds);
		std::memcpy(s.bytes, &u, sizeof(u));
	}
};

} // namespace reframer::nf::block
