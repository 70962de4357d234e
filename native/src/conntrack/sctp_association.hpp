// An SCTP association as Linux's nf_conntrack follows it: chunks, verification tags, timeouts
// (net/netfilter/nf_conntrack_proto_sctp.c of Linux 6.18 at its default settings; checked against a
// running kernel by test/conntrack/kernel-others.test.ts). Checksums are not looked at.
#pragma once

#include <cstdint>

namespace reframer::conntrack {

enum class SctpState : uint8_t {
	none,
	closed,
	cookie_wait,
	cookie_echoed,
	established,
	shutdown_sent,
	shutdown_received,
	shutdown_ack_sent,
	heartbeat_sent,
};
inline constexpr unsigned nb_sctp_states = 9;

inline constexpr uint32_t sctp_timeout_seconds = 210; // of one that is established

class SctpAssociation {
public:
	// A packet from its SCTP header on, of which so many bytes are there. `reply`: against the
	// direction of the first packet.
	// @return seconds that it has from now on; 0: the packet is not of this association, or may not
	// begin one
	uint32_t add(const uint8_t *packet, uint32_t captured, bool reply);

	SctpState state() const { return state_; }

private:
	bool begin(const uint8_t *packet, uint32_t captured);
	bool is_tagged(const uint8_t *chunk, uint32_t tag, bool reply, bool with_data, bool &doubtful);
	bool note_tag(const uint8_t *chunk, const uint8_t *end, bool reply);

	// Of what each side sends.
	uint32_t tags_[2] = {};
	bool initiated_[2] = {};
	bool heartbeat_failed_ = false, last_reply_ = false;
	SctpState state_ = SctpState::none;
};

} // namespace reframer::conntrack
