#include "conntrack/tcp_state.hpp"

namespace reframer::conntrack {

namespace {

constexpr unsigned nb_segments = 5;

// Characters of the tables below: a state, or what is no transition.
//  . invalid   - ignored   S syn_sent  R syn_recv  E established  F fin_wait  W close_wait
//  L last_ack  T time_wait  C close    2 syn_sent2
// Columns in the order of TcpState. A SYN that answers a SYN is a simultaneous open (syn_sent2);
// a SYN after time_wait reuses the ports; an ACK that finds no connection adopts it as established,
// since the tracker may have started in the middle. Source: what Linux 6.18 does, kernel.test.ts.
constexpr char forward_table[nb_segments][nb_tcp_states + 1] = {
	/* syn     */ "SS-----SS2",
	/* syn_ack */ "..R......R",
	/* fin     */ "..FFLLLTC.",
	/* ack     */ "E.EEWWTTC.",
	/* rst     */ ".CCCCCCCCC",
};
constexpr char reply_table[nb_segments][nb_tcp_states + 1] = {
	/* syn     */ ".2.....S.2",
	/* syn_ack */ ".R-------R",
	/* fin     */ "..FFLLLTC.",
	/* ack     */ ".-REWWTTC-",
	/* rst     */ ".CCCCCCCCC",
};

constexpr char letters[] = "0SREFWLTC2";

} // namespace

TcpKind tcp_kind(uint8_t flags)
{
	constexpr uint8_t f_fin = 1, f_syn = 2, f_rst = 4, f_ack = 16;
	if (flags & f_rst)
		return TcpKind::rst;
	if (flags & f_syn)
		return flags & f_ack ? TcpKind::syn_ack : TcpKind::syn;
	if (flags & f_fin)
		return TcpKind::fin;
	return flags & f_ack ? TcpKind::ack : TcpKind::none;
}

TcpStep tcp_step(TcpState state, uint8_t flags, bool reply)
{
	const auto kind = static_cast<unsigned>(tcp_kind(flags));
	if (kind == nb_segments)
		return {state, TcpVerdict::invalid};
	char next = (reply ? reply_table : forward_table)[kind][static_cast<unsigned>(state)];
	if (next == '.')
		return {state, TcpVerdict::invalid};
	if (next == '-')
		return {state, TcpVerdict::ignored};
	unsigned i = 0;
	while (letters[i] != next)
		i++;
	return {static_cast<TcpState>(i), TcpVerdict::valid};
}

const char *tcp_state_name(TcpState state)
{
	constexpr const char *names[nb_tcp_states] = {
		"none",       "syn-sent", "syn-recv",  "established", "fin-wait",
		"close-wait", "last-ack", "time-wait", "close",       "syn-sent2",
	};
	return names[static_cast<unsigned>(state)];
}

uint32_t tcp_timeout_seconds(TcpState state)
{
	constexpr uint32_t seconds[nb_tcp_states] = {10, 120, 60, 432000, 120, 60, 30, 120, 10, 120};
	return seconds[static_cast<unsigned>(state)];
}

} // namespace reframer::conntrack
