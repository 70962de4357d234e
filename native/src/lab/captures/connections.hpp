// The connections of a stream of frames, both directions as one, in the burst table.
#pragma once

#include "conntrack/tcp_connection.hpp"
#include "packet/parse.hpp"
#include "reframer/conntrack.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace reframer::lab {

struct Connection {
	uint8_t source[16], destination[16];
	uint16_t source_port, destination_port; // host order
	uint8_t protocol, version;
	uint64_t packets[2] = {}, bytes[2] = {}; // by direction
	uint64_t first_ns = 0, last_ns = 0;      // as the capture has them
	conntrack::TcpState state = conntrack::TcpState::none;

	// What follows it, from the first segment that may begin a connection until it is over.
	std::optional<conntrack::TcpConnection> tcp;
	bool turned = false; // that segment came from `destination`
	bool tcp_ended = false;
	bool associated = false;                        // SCTP: the handshake is done, or was missed
	uint64_t began_ns = 0, expires_ns = UINT64_MAX; // by the tracker's clock
	// Number of each side's SYN, even where that was lost.
	uint32_t syn_sequence[2] = {};
	bool syn_known[2] = {};
};

// The capture's clock, as far as it can be believed. One packet whose time lies far ahead of its
// neighbours' must not end all connections, only its own.
class BelievableClock {
public:
	// `next_ns` is the time of the packet behind it, or of this one at the end.
	uint64_t operator()(uint64_t time_ns, uint64_t next_ns, uint64_t packet);
	// Of the last packet: what the call returned, or the time that stands alone.
	uint64_t seen() const { return seen_; }
	std::vector<std::string> warnings() const;

private:
	uint64_t now_ = 0, seen_ = 0, offset_ = 0;
	bool started_ = false;
	uint64_t leaps_ = 0, first_leap_ = 0, leap_ns_ = 0;
	uint64_t steps_back_ = 0, first_step_ = 0, step_ns_ = 0;
};

class ConnectionTracker {
public:
	// Without `expire` a connection lasts to the end, as in tshark's conversation statistics.
	explicit ConnectionTracker(bool expire);
	// @throws JobError too-many-flows
	void add(const packet::Frame &frame, uint64_t next_ns);

	// In order of their beginning.
	const std::deque<Connection> &connections() const { return connections_; }
	uint64_t packets() const { return packets_; }
	uint64_t untracked() const { return untracked_; }
	uint64_t origin_ns() const { return origin_ns_; }
	double bytes_per_flow() const;
	std::vector<std::string> warnings() const { return clock_.warnings(); }

private:
	struct TableDeleter {
		void operator()(conntrack_table *t) const { conntrack_free(t); }
	};
	struct Arrival {
		const packet::Frame &frame;
		const packet::Headers &headers;
		const Connection &tuple;
		uint64_t now, seen; // of the clock; by the packet itself
		conntrack::TcpSegment segment;
	};

	// A SYN in the middle, until it is answered: then it began another connection on these ports.
	struct Doubtful {
		conntrack::TcpSegment segment;
		uint64_t time_ns, last_ns; // its own; of the packet before it
		uint32_t bytes;
		bool reply;
	};

	uint64_t begin(const Arrival &arrival);
	bool is_over(const Connection &c, const Arrival &arrival, bool reply) const;
	uint64_t step_tcp(uint64_t index, const Arrival &arrival, bool reply);
	void count(Connection &c, const Arrival &arrival, bool reply) const;
	void set_timeout(Connection &c, uint64_t now, uint32_t seconds) const;

	const bool expire_;
	std::unique_ptr<conntrack_table, TableDeleter> table_;
	// Grows without being copied: at ten million connections a copy is 2 GB.
	std::deque<Connection> connections_;
	std::unordered_map<uint64_t, Doubtful> doubtful_; // by index; few have one
	BelievableClock clock_;
	uint64_t packets_ = 0, untracked_ = 0, origin_ns_ = 0;
};

} // namespace reframer::lab
