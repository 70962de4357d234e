// TCP as a connection tracker sees it from the middle: the states of Linux's nf_conntrack and what
// each kind of segment, by direction, makes of them. Windows and timeouts: tcp_connection.hpp.
#pragma once

#include <cstdint>

namespace reframer::conntrack {

enum class TcpState : uint8_t {
	none,
	syn_sent,
	syn_recv,
	established,
	fin_wait,
	close_wait,
	last_ack,
	time_wait,
	close,
	syn_sent2,
};
inline constexpr unsigned nb_tcp_states = 10;

// What of its flags decides.
enum class TcpKind : uint8_t { syn, syn_ack, fin, ack, rst, none };
TcpKind tcp_kind(uint8_t flags);

// What a packet does to a connection.
enum class TcpVerdict : uint8_t {
	valid,   // the state may have changed
	ignored, // no change, but no harm: such as a SYN in the middle, for the other end to judge
	invalid, // does not fit this connection
};

struct TcpStep {
	TcpState state;
	TcpVerdict verdict;
};
// `flags`: the low eight bits of the TCP header's flags. `reply`: against the direction of the
// connection's first packet.
TcpStep tcp_step(TcpState state, uint8_t flags, bool reply);

const char *tcp_state_name(TcpState state);

// Default timeouts of nf_conntrack, seconds (Documentation/networking/nf_conntrack-sysctl.rst).
uint32_t tcp_timeout_seconds(TcpState state);
inline constexpr uint32_t tcp_unacknowledged_timeout_seconds =
	300;                                                      // data, or an answer, is missing
inline constexpr uint32_t tcp_repeated_timeout_seconds = 300; // the same segment, over and over
inline constexpr uint32_t udp_timeout_seconds = 30; // one direction, or for its first two seconds
inline constexpr uint32_t udp_stream_timeout_seconds = 120; // answered, and still active then
inline constexpr uint32_t gre_timeout_seconds = 30;
inline constexpr uint32_t gre_stream_timeout_seconds = 180; // answered
inline constexpr uint32_t icmp_timeout_seconds = 30;
inline constexpr uint32_t generic_timeout_seconds = 600;

} // namespace reframer::conntrack
