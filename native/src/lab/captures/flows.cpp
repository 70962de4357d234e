// Job `flows`: tracks the connections of a capture, both directions as one, in the burst table.
//
// spec    {"file": "...", "keepGoing": false, "expire": false}
//         expire: ends connections after nf_conntrack's default timeouts, by the capture's clock;
//         otherwise a connection lasts to the end, as in tshark's conversation statistics.
// records {"flow": {"protocol","a","b","state","packetsAB","bytesAB","packetsBA","bytesBA","start",
//         "duration"}} a connection, in order of their beginning; a is where the first packet came
//         from, start is in seconds after the capture's first packet; state of TCP as in
//         nf_conntrack, of others "single" or "answered"
//         {"summary": {"file","packets","flows","tracked","untracked","bytesPerFlow","warnings",
//         "damage"}}
// Untracked: not IP, or later fragments and broken headers, whose ports cannot be read.
#include "conntrack/tcp_state.hpp"
#include "lab/captures/capture_input.hpp"
#include "jobs/spec_reader.hpp"
#include "packet/parse.hpp"
#include "reframer/conntrack.h"

#include <arpa/inet.h>

#include <cstring>
#include <memory>

namespace reframer::lab {
namespace {

using conntrack::TcpState;
using conntrack::TcpVerdict;

struct Connection {
	uint8_t source[16], destination[16];
	uint16_t source_port, destination_port; // host order
	uint8_t protocol, version;
	TcpState state = TcpState::none;
	// By direction: sequence number of its SYN, even where that was lost, and whether it is known.
	uint32_t syn_sequence[2] = {};
	bool syn_known[2] = {};
	uint64_t packets[2] = {}, bytes[2] = {}; // by direction
	uint64_t first_ns = 0, last_ns = 0;
};

// Timeout classes of the table: TCP states first, then these.
enum Class : uint32_t { class_udp = 10, class_udp_stream, class_icmp, class_generic };

struct TableDeleter {
	void operator()(conntrack_table *t) const { conntrack_free(t); }
};

class Tracker {
public:
	explicit Tracker(bool expire)
	{
		conntrack_params p;
		conntrack_default_params(&p);
		p.key_size = CONNTRACK_KEY_IPV6;
		p.max_flows = uint64_t{1} << 26;
		// Coarse enough that five days fit, fine beside the shortest timeout, 10 s.
		p.tick_ns = 100'000'000;
		for (uint64_t &timeout : p.timeout_ns)
			timeout = 0;
		if (expire) {
			constexpr uint64_t second = 1'000'000'000;
			for (unsigned s = 0; s < conntrack::nb_tcp_states; s++)
				p.timeout_ns[s] = conntrack::tcp_timeout_seconds(TcpState(s)) * second;
			p.timeout_ns[class_udp] = conntrack::udp_timeout_seconds * second;
			p.timeout_ns[class_udp_stream] = conntrack::udp_stream_timeout_seconds * second;
			p.timeout_ns[class_icmp] = conntrack::icmp_timeout_seconds * second;
			p.timeout_ns[class_generic] = conntrack::generic_timeout_seconds * second;
		}
		conntrack_table *t = nullptr;
		if (conntrack_create(&p, &t) != 0)
			throw std::bad_alloc();
		table_.reset(t);
	}

	void add(const packet::Frame &frame)
	{
		if (packets_++ == 0)
			origin_ns_ = frame.time_ns;
		packet::Headers h = packet::parse(frame, packet::Depth::outer);
		if (h.version == 0 || h.fragment_offset != 0 ||
		    ((h.protocol == 6 || h.protocol == 17) && !(h.flags & packet::header_ports))) {
			untracked_++;
			return;
		}
		Connection packet = read_tuple(frame, h);
		uint8_t key[CONNTRACK_KEY_IPV6];
		conntrack_key_ipv6(key, packet.source, packet.destination, packet.source_port,
		                   packet.destination_port, packet.protocol);
		conntrack_key_symmetric(key, sizeof(key));
		int is_new = 0;
		void *state = conntrack_find_or_insert(table_.get(), key, nullptr, frame.time_ns, &is_new);
		if (!state)
			throw JobError("too-many-flows", "the capture has more than 2^26 connections at a time");
		uint64_t index;
		std::memcpy(&index, state, sizeof(index));
		auto is_reply = [&](const Connection &c) {
			return std::memcmp(c.source, packet.source, 16) != 0 || c.source_port != packet.source_port;
		};
		if (!is_new && begins_again(connections_[index], frame, h, is_reply(connections_[index])))
			is_new = 1;
		if (is_new) {
			index = connections_.size();
			packet.first_ns = frame.time_ns;
			connections_.push_back(packet);
			std::memcpy(state, &index, sizeof(index));
		}
		Connection &c = connections_[index];
		bool reply = is_reply(c);
		if (h.protocol == 6)
			note_sequences(c, frame, h, reply);
		c.packets[reply]++;
		c.bytes[reply] += frame.wire;
		// Clocks of captures step back.
		c.first_ns = std::min(c.first_ns, frame.time_ns);
		c.last_ns = std::max(c.last_ns, frame.time_ns);
		conntrack_set_class(table_.get(), state, step(c, h, reply), frame.time_ns);
	}

	uint64_t packets() const { return packets_; }

	void report(const CaptureInput &input, const std::string &file) const
	{
		for (const Connection &c : connections_)
			emit({{"flow", json_of(c, origin_ns_)}});
		conntrack_stats stats;
		conntrack_get_stats(table_.get(), &stats);
		emit({{"summary",
		       {{"file", file}, {"packets", packets_}, {"flows", connections_.size()},
		        {"tracked", packets_ - untracked_}, {"untracked", untracked_},
		        {"bytesPerFlow", double(stats.bytes) / double(std::max<uint64_t>(stats.flows, 1))},
		        {"warnings", input.warnings()}, {"damage", input.damage()}}}});
	}

private:
	static Connection read_tuple(const packet::Frame &frame, const packet::Headers &h)
	{
		Connection c{};
		const uint8_t *ip = frame.data + h.l3;
		if (h.version == 4) {
			c.source[10] = c.source[11] = c.destination[10] = c.destination[11] = 0xff;
			std::memcpy(c.source + 12, ip + 12, 4);
			std::memcpy(c.destination + 12, ip + 16, 4);
		} else {
			std::memcpy(c.source, ip + 8, 16);
			std::memcpy(c.destination, ip + 24, 16);
		}
		c.version = h.version;
		c.protocol = h.protocol;
		if (h.flags & packet::header_ports) {
			c.source_port = h.source_port;
			c.destination_port = h.destination_port;
		}
		return c;
	}

	// A 32-bit number of a TCP header: 4 the sequence number, 8 the acknowledged one.
	static uint32_t tcp_number(const packet::Frame &frame, const packet::Headers &h, uint32_t at)
	{
		if (h.l4 + at + 4 > frame.captured)
			return 0;
		uint32_t number;
		std::memcpy(&number, frame.data + h.l4 + at, 4);
		return ntohl(number);
	}

	static void note_sequences(Connection &c, const packet::Frame &frame, const packet::Headers &h,
	                           bool reply)
	{
		auto note = [&](bool direction, uint32_t sequence) {
			if (!c.syn_known[direction])
				c.syn_sequence[direction] = sequence;
			c.syn_known[direction] = true;
		};
		note(reply, tcp_number(frame, h, 4) - (h.tcp_flags & 0x02 ? 0 : 1));
		if (h.tcp_flags & 0x10)
			note(!reply, tcp_number(frame, h, 8) - 1);
	}

	// A SYN with another sequence number than its side began with opens a new connection on old
	// ports. Where only the other side was heard, its acknowledgements tell how this side began.
	static bool begins_again(const Connection &c, const packet::Frame &frame, const packet::Headers &h,
	                         bool reply)
	{
		bool syn = h.protocol == 6 && (h.tcp_flags & 0x12) == 0x02;
		return syn && c.syn_known[reply] && c.syn_sequence[reply] != tcp_number(frame, h, 4);
	}

	static uint32_t step(Connection &c, const packet::Headers &h, bool reply)
	{
		if (c.protocol == 17)
			return c.packets[1] ? class_udp_stream : class_udp;
		if (c.protocol == 1 || c.protocol == 58)
			return class_icmp;
		if (c.protocol != 6 || !(h.flags & packet::header_tcp_flags))
			return class_generic;
		auto flags = static_cast<uint8_t>(h.tcp_flags);
		// A tracker that starts in the middle may see the answer to a SYN first.
		if (c.state == TcpState::none && (flags & 0x12) == 0x12)
			c.state = TcpState::syn_recv;
		conntrack::TcpStep next = conntrack::tcp_step(c.state, flags, reply);
		if (next.verdict == TcpVerdict::valid)
			c.state = next.state;
		return static_cast<uint32_t>(c.state);
	}

	static std::string end_of(const Connection &c, const uint8_t *address, uint16_t port)
	{
		char text[INET6_ADDRSTRLEN] = "";
		inet_ntop(c.version == 4 ? AF_INET : AF_INET6, c.version == 4 ? address + 12 : address, text,
		          sizeof(text));
		if (c.protocol != 6 && c.protocol != 17 && !port)
			return text;
		std::string where(text);
		if (c.version != 4)
			where.append("]").insert(where.begin(), '[');
		return where.append(":").append(std::to_string(port));
	}

	static Json json_of(const Connection &c, uint64_t origin)
	{
		Json protocol = c.protocol;
		if (c.protocol == 6)
			protocol = "tcp";
		else if (c.protocol == 17)
			protocol = "udp";
		else if (c.protocol == 1 || c.protocol == 58)
			protocol = "icmp";
		const char *state = c.protocol == 6 ? conntrack::tcp_state_name(c.state)
		    : c.packets[1]                  ? "answered"
		                                    : "single";
		return {{"protocol", protocol},
		        {"a", end_of(c, c.source, c.source_port)},
		        {"b", end_of(c, c.destination, c.destination_port)},
		        {"state", state},
		        {"packetsAB", c.packets[0]},
		        {"bytesAB", c.bytes[0]},
		        {"packetsBA", c.packets[1]},
		        {"bytesBA", c.bytes[1]},
		        {"start", double(static_cast<int64_t>(c.first_ns - origin)) / 1e9},
		        {"duration", double(c.last_ns - c.first_ns) / 1e9}};
	}

	std::unique_ptr<conntrack_table, TableDeleter> table_;
	std::vector<Connection> connections_;
	uint64_t packets_ = 0, untracked_ = 0, origin_ns_ = 0;
};

} // namespace

void run_flows(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::string file = reader.text("file", "");
	const bool keep_going = reader.boolean("keepGoing", false);
	const bool expire = reader.boolean("expire", false);
	if (file.empty())
		reader.fail("file", "is missing");
	reader.finish();
	CaptureInput input(file, keep_going);
	Tracker tracker(expire);
	Progress progress("packets of " + file);
	while (traffic::FrameBatch *batch = input.next()) {
		for (const packet::Frame &frame : batch->frames)
			tracker.add(frame);
		input.give_back(batch);
		progress(tracker.packets());
	}
	tracker.report(input, file);
}

} // namespace reframer::lab
