// What a connection tracker reads of a packet.
#pragma once

#include "conntrack/tcp_segment.hpp"
#include "lab/captures/kept_connections.hpp"
#include "packet/parse.hpp"

#include <cstdint>

namespace reframer::lab {

Ends read_ends(const packet::Frame &frame, const packet::Headers &headers);
conntrack::TcpSegment read_segment(const packet::Frame &frame, const packet::Headers &headers);

} // namespace reframer::lab
