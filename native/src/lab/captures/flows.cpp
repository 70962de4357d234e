// Job `flows`: tracks the connections of a capture, both directions as one, in the burst table.
//
// spec    {"file": "...", "keepGoing": false, "expire": false}
//         expire: ends connections after nf_conntrack's default timeouts, by the capture's clock;
//         otherwise a connection lasts to the end, as in tshark's conversation statistics.
// records {"flow": {"protocol","a","b","state","packetsAB","bytesAB","packetsBA","bytesBA","start",
//         "duration"}} a connection, in order of their beginning; a is where the first packet came
//         from, start is in seconds after the capture's first packet; state of TCP as in
//         nf_conntrack ("none": it would have no entry, as nothing may begin one), of others
//         "single" or "answered"
//         {"summary": {"file","packets","flows","tracked","untracked","bytesPerFlow","warnings",
//         "damage"}}
// Untracked: not IP, or later fragments and broken headers, whose ports cannot be read.
#include "jobs/spec_reader.hpp"
#include "lab/captures/capture_input.hpp"
#include "lab/captures/connections.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace reframer::lab {
namespace {

std::string end_of(const Connection &c, const uint8_t *address, uint16_t port)
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

Json json_of(const Connection &c, uint64_t origin)
{
	Json protocol = c.protocol;
	if (c.protocol == 6)
		protocol = "tcp";
	else if (c.protocol == 17)
		protocol = "udp";
	else if (c.protocol == 1 || c.protocol == 58)
		protocol = "icmp";
	const char *state = c.protocol == 6 ? conntrack::tcp_state_name(c.state)
	                    : c.packets[1]  ? "answered"
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

void report(const ConnectionTracker &tracker, const CaptureInput &input, const std::string &file,
            bool expire)
{
	for (const Connection &c : tracker.connections())
		emit({{"flow", json_of(c, tracker.origin_ns())}});
	std::vector<std::string> warnings = input.warnings();
	if (expire)
		for (std::string &warning : tracker.warnings())
			warnings.push_back(std::move(warning));
	const uint64_t tracked = tracker.packets() - tracker.untracked();
	emit({{"summary", joined(NAMED(file, tracker.packets(), tracked, tracker.untracked(),
	                               tracker.bytes_per_flow(), warnings, input.damage()),
	                         {{"flows", tracker.connections().size()}})}});
}

} // namespace

void run_flows(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::string file = reader.needed("file");
	const bool keep_going = reader.boolean("keepGoing", false);
	const bool expire = reader.boolean("expire", false);
	reader.finish();
	CaptureInput input(file, keep_going);
	ConnectionTracker tracker(expire);
	Progress progress("packets of " + file);
	// Whether a time can be believed is seen from the next one: the last frame of a batch waits.
	std::optional<packet::Frame> last;
	std::vector<uint8_t> last_bytes;
	while (traffic::FrameBatch *batch = input.next()) {
		const auto &frames = batch->frames;
		for (size_t i = 0; i < frames.size(); i++) {
			if (i == 0 && last)
				tracker.add(*last, frames[0].time_ns);
			if (i + 1 < frames.size())
				tracker.add(frames[i], frames[i + 1].time_ns);
		}
		if (!frames.empty()) {
			last = frames[frames.size() - 1];
			last_bytes.assign(last->data, last->data + last->captured);
			last->data = last_bytes.data();
		}
		input.give_back(batch);
		progress(tracker.packets());
	}
	if (last)
		tracker.add(*last, last->time_ns);
	report(tracker, input, file, expire);
}

} // namespace reframer::lab
