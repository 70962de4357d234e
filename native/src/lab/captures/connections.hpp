// The connections of a stream of frames, both directions as one, in the burst table.
#pragma once

#include "api/owned.hpp"
#include "conntrack/sctp_association.hpp"
#include "lab/captures/believable_clock.hpp"
#include "lab/captures/kept_connections.hpp"
#include "packet/parse.hpp"
#include "reframer/conntrack.h"

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace reframer::lab {

class ConnectionTracker {
public:
	// Without `expire` a connection lasts to the end, as in tshark's conversation statistics.
	explicit ConnectionTracker(bool expire);
	// Frames that follow one another; `next_ns` is the time of the one behind them, or of the last of
	// them at the end. @throws JobError too-many-flows
	void add(std::span<const packet::Frame> frames, uint64_t next_ns);

	// In order of their beginning.
	uint32_t size() const { return kept_.size(); }
	Connection connection(uint32_t index) const { return kept_.connection(index); }
	uint64_t packets() const { return packets_; }
	uint64_t untracked() const { return untracked_; }
	uint64_t origin_ns() const { return origin_ns_; }
	double bytes_per_flow() const;
	std::vector<std::string> warnings() const { return clock_.warnings(); }

private:
	using Kept = KeptConnections::Kept;

	// Packets whose memory is asked for at a time: as many as a call of the table keeps under way.
	static constexpr size_t burst_size = 128;

	struct Arrival {
		const packet::Frame *frame;
		packet::Headers headers;
		Ends ends;
		uint64_t now, seen; // of the clock; by the packet itself
		conntrack::TcpSegment segment;
		void *state; // in a table: the index of the tuple's latest connection
		bool is_new;
	};

	// Keys of one size on their way through their table.
	struct Keys {
		api::FlowTable table;
		uint32_t size, count = 0;
		uint32_t of[burst_size]; // arrivals
		uint8_t bytes[burst_size * CONNTRACK_KEY_IPV6];
	};

	// A SYN in the middle, until it is answered: then it began another connection on these ports.
	struct Doubtful {
		conntrack::TcpSegment segment;
		uint64_t time_ns, last_ns; // its own; of the packet before it
		uint32_t bytes;
		bool reply;
	};

	// Where a connection ends, beside what all have.
	struct Timing {
		uint64_t began_ns, expires_ns; // by the tracker's clock
	};

	struct Association {
		conntrack::SctpAssociation sctp;
		bool turned; // begun against the connection's first packet
	};

	static api::FlowTable make_table(uint32_t key_size, bool expire);
	bool arrive(const packet::Frame &frame, uint64_t next_ns, Arrival &arrival);
	void add_key(uint32_t arrival);
	void look_up(Keys &keys);
	void track(const Arrival &arrival);
	void track_other(uint32_t index, const Arrival &arrival);
	void track_sctp(uint32_t index, const Arrival &arrival);
	void arm(const Arrival &arrival, uint32_t index);
	uint32_t begin(const Arrival &arrival);
	bool is_over(uint32_t index, const Arrival &arrival, bool reply);
	bool begins_with_another_number(uint32_t index, const conntrack::TcpSegment &s, bool reply);
	uint32_t step_tcp(uint32_t index, const Arrival &arrival, bool reply);
	uint32_t open_doubtful(uint32_t index, const Arrival &arrival, const Doubtful &first);
	void count(uint32_t index, const Arrival &arrival, bool reply);
	void set_timeout(uint32_t index, uint64_t now, uint32_t seconds);
	uint64_t expires_ns(uint32_t index) const
	{
		return expire_ ? timings_[index].expires_ns : UINT64_MAX;
	}

	const bool expire_;
	Keys ipv4_, ipv6_;
	KeptConnections kept_;
	Chunks<Timing> timings_;                                 // with expire_
	std::unordered_map<uint32_t, Doubtful> doubtful_;        // by index; few have one
	std::unordered_map<uint32_t, Association> associations_; // of SCTP, by index; with expire_
	BelievableClock clock_;
	uint64_t packets_ = 0, untracked_ = 0, origin_ns_ = 0;
	Arrival arrivals_[burst_size];
};

} // namespace reframer::lab
