// Whole connections through the state machine.
#include "conntrack/tcp_state.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace reframer::conntrack;

namespace {

constexpr uint8_t F = 1, S = 2, R = 4, A = 16;

struct Segment {
	uint8_t flags;
	bool reply;
};

TcpState run(const std::vector<Segment> &segments, TcpState state = TcpState::none)
{
	for (const Segment &s : segments)
		state = tcp_step(state, s.flags, s.reply).state;
	return state;
}

} // namespace

TEST_CASE("TCP connections take the states that nf_conntrack gives them")
{
	const std::vector<Segment> open = {{S, false}, {S | A, true}, {A, false}};
	CHECK(run({{S, false}}) == TcpState::syn_sent);
	CHECK(run({{S, false}, {S | A, true}}) == TcpState::syn_recv);
	CHECK(run(open) == TcpState::established);
	CHECK(run({{F | A, false}}, run(open)) == TcpState::fin_wait);
	CHECK(run({{F | A, false}, {A, true}}, run(open)) == TcpState::close_wait);
	CHECK(run({{F | A, false}, {A, true}, {F | A, true}}, run(open)) == TcpState::last_ack);
	CHECK(run({{F | A, false}, {A, true}, {F | A, true}, {A, false}}, run(open)) ==
	      TcpState::time_wait);
	CHECK(run({{F | A, false}, {F | A, true}}, run(open)) == TcpState::last_ack);
	CHECK(run({{R, true}}, run(open)) == TcpState::close);
	CHECK(run({{S, false}, {R | A, true}}) == TcpState::close);
	// Simultaneous open.
	CHECK(run({{S, false}, {S, true}}) == TcpState::syn_sent2);
	CHECK(run({{S, false}, {S, true}, {S | A, false}}) == TcpState::syn_recv);
	// The tracker came late.
	CHECK(run({{A, false}, {A, true}}) == TcpState::established);
	// Ports are used again.
	CHECK(run({{S, false}}, TcpState::time_wait) == TcpState::syn_sent);
	CHECK(tcp_step(TcpState::established, S, false).verdict == TcpVerdict::ignored);
	CHECK(tcp_step(TcpState::syn_sent, A, false).verdict == TcpVerdict::invalid);
	CHECK(tcp_step(TcpState::established, 0, false).verdict == TcpVerdict::invalid);
}
