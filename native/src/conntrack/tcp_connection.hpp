// A TCP connection as Linux's nf_conntrack follows it: states, windows, timeouts (net/netfilter/
// nf_conntrack_proto_tcp.c of Linux 6.18 at its default settings; checked against a running kernel by
// test/conntrack/kernel.test.ts). Checksums and NAT are not looked at.
#pragma once

#include "conntrack/tcp_segment.hpp"
#include "conntrack/tcp_state.hpp"

namespace reframer::conntrack {

class TcpConnection {
public:
	enum class Outcome {
		accepted, // the connection goes on; its timeout begins anew
		ignored,  // let pass for the ends to judge; nothing changes
		invalid,  // not of this connection; nothing changes
		reopened, // a SYN after the end: this connection is over, the segment begins the next one
		ended,    // its only answer is a reset: there is no connection any more
	};
	struct Step {
		Outcome outcome;
		uint32_t timeout_seconds = 0; // from now on; 0: it runs on as it was
	};

	// Whether a segment may begin one: a SYN, or any ACK of one that is under way.
	static bool may_begin(const TcpSegment &segment);
	// Its timeout is that of the first add(), which takes the same segment.
	explicit TcpConnection(const TcpSegment &first);
	// `reply`: against the direction of the first segment.
	Step add(const TcpSegment &segment, bool reply);

	TcpState state() const { return state_; }

private:
	enum class Window { inside, ignored, outside };
	// unknown: an answer to something let pass before, or for the window to judge; acknowledged: at or
	// above what the other side acknowledged, and for the window alone to judge
	enum class Reset { fits, unknown, acknowledged, challenged, invalid };

	// What is known of one side: numbers after its last byte sent, after the last one that it may
	// send, its largest window, its highest acknowledgement.
	struct Side {
		uint32_t end = 0, limit = 0, window = 0, acknowledged = 0;
		uint8_t scale = 0;
		bool has_scale : 1 = false, sack_permitted : 1 = false, liberal : 1 = false;
		bool has_acknowledged : 1 = false, unacknowledged_data : 1 = false,
								closed_first : 1 = false;
	};
	struct Last { // segment that was accepted or ignored
		uint32_t sequence = 0, end = 0, acknowledged = 0;
		uint16_t window = 0;
		TcpKind kind = TcpKind::none;
		bool reply = false;
	};
	struct Offer { // of a SYN
		uint8_t scale = 0;
		bool has_scale : 1 = false, sack_permitted : 1 = false;
	};

	void note_ignored(const TcpSegment &segment, bool reply, TcpState before);
	Reset judge_reset(const TcpSegment &segment, bool reply) const;
	bool answers_ignored(const TcpSegment &segment, bool reply) const;
	Window check_window(const TcpSegment &segment, bool reply, TcpKind kind);
	void begin_side(Side &sender, Side &receiver, const TcpSegment &segment, bool reply);
	Step timeout_of(TcpState next, TcpState before, TcpKind kind);
	Step out_of_window(bool reply, TcpKind kind);

	Side sides_[2];
	Last last_;
	Offer ignored_syn_;
	bool expects_challenge_ : 1 = false, simultaneous_ : 1 = false;
	bool answered_ : 1 = false, assured_ : 1 = false;
	uint8_t repeated_ = 0; // the same segment in a row
	TcpState state_ = TcpState::none;
};
static_assert(sizeof(TcpConnection) == 64); // a line of a flow block

} // namespace reframer::conntrack
