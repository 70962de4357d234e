// What a connection tracker reads of a packet.
#pragma once

#include "conntrack/tcp_segment.hpp"
#include "lab/captures/kept_connections.hpp"
#include "packet/parse.hpp"

#include <cstdint>

namespace reframer::lab {

// nf_conntrack's timeouts for SCTP: an association, and one that begins or ends.
constexpr uint32_t sctp_timeout_seconds = 210, sctp_handshake_timeout_seconds = 3;

Ends read_ends(const packet::Frame &frame, const packet::Headers &headers);
conntrack::TcpSegment read_segment(const packet::Frame &frame, const packet::Headers &headers);
// By the last chunk that tells: a handshake or an end under way, or neither.
// `associated`: in and out; is the handshake done, or was it missed?
uint32_t sctp_seconds(bool &associated, bool is_first, const packet::Frame &frame,
                      const packet::Headers &headers);

} // namespace reframer::lab
