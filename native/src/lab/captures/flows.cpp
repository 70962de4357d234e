// Job `flows`: tracks the connections of a capture, both directions as one, in the burst table.
//
// spec    {"file": "...", "keepGoing": false, "expire": false, "sort": "start", "top": 0, "csv": false,
//         "protocol": "", "state": "", "address": "", "port": 0}
//         expire: ends connections after nf_conntrack's default timeouts, by the capture's clock;
//         otherwise a connection lasts to the end, as in tshark's conversation statistics.
//         sort: start, or most of bytes, packets, duration first; top: so many, 0 is all; the others
//         leave out what does not match
// records {"flows": [{"protocol","a","b","state","packetsAB","bytesAB","packetsBA","bytesBA","start",
//         "duration"}, ...]} some hundred connections at a time; a is where the first packet came
//         from, start is in seconds after the capture's first packet; state of TCP as in
//         nf_conntrack ("none": it would have no entry, as nothing may begin one), of others
//         "single" or "answered"; or {"csv": "lines"} of the same
//         {"summary": {"file","packets","flows","shown","tracked","untracked","bytesPerFlow",
//         "warnings","damage"}}
// Untracked: not IP, or later fragments and broken headers, whose ports cannot be read.
#include "jobs/spec_reader.hpp"
#include "lab/captures/capture_input.hpp"
#include "lab/captures/connections.hpp"
#include "lab/captures/flow_rows.hpp"

#include <iostream>
#include <span>

namespace reframer::lab {
namespace {

// Connections a record: a line that is neither long nor one of millions.
constexpr size_t flows_a_record = 256;

struct Asked {
	FlowFilter filter;
	FlowOrder order;
	uint64_t top;
	bool csv;
};

uint64_t emit_flows(const ConnectionTracker &tracker, const Asked &asked)
{
	std::string text;
	size_t nb = 0; // in `text`
	const auto emit_text = [&] {
		if (nb == 0)
			return;
		// Text already: a record as emit() writes it.
		if (asked.csv)
			emit({{"csv", text}});
		else
			std::cout << text.append("]}\n") << std::flush;
		text.clear();
		nb = 0;
	};
	const uint64_t shown = show_flows(tracker, asked.filter, asked.order, asked.top,
	                                  [&](const Connection &connection) {
										  if (asked.csv) {
											  append_csv(text, connection, tracker.origin_ns());
										  } else {
											  text += nb == 0 ? "{\"flows\":[" : ",";
											  append_json(text, connection, tracker.origin_ns());
										  }
										  if (++nb == flows_a_record)
											  emit_text();
									  });
	emit_text();
	return shown;
}

void report(const ConnectionTracker &tracker, const CaptureInput &input, const std::string &file,
            bool expire, const Asked &asked)
{
	const uint64_t shown = emit_flows(tracker, asked);
	std::vector<std::string> warnings = input.warnings();
	if (expire)
		for (std::string &warning : tracker.warnings())
			warnings.push_back(std::move(warning));
	const uint64_t tracked = tracker.packets() - tracker.untracked();
	emit({{"summary", joined(NAMED(file, tracker.packets(), tracked, tracker.untracked(),
	                               tracker.bytes_per_flow(), warnings, input.damage()),
	                         {{"flows", tracker.size()}, {"shown", shown}})}});
}

} // namespace

void run_flows(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::string file = reader.needed("file");
	const bool keep_going = reader.boolean("keepGoing", false);
	const bool expire = reader.boolean("expire", false);
	Asked asked;
	asked.order = reader.choice("sort", FlowOrder::start,
	                            {{"start", FlowOrder::start},
	                             {"bytes", FlowOrder::bytes},
	                             {"packets", FlowOrder::packets},
	                             {"duration", FlowOrder::duration}});
	asked.top = reader.integer("top", 0, 0, 1e12);
	asked.csv = reader.boolean("csv", false);
	asked.filter.protocol = reader.text("protocol", "");
	if (!asked.filter.protocol.empty() && !is_protocol(asked.filter.protocol))
		reader.fail("protocol", "must be tcp, udp, icmp or a number up to 255");
	asked.filter.state = reader.text("state", "");
	if (!asked.filter.state.empty() && !is_state(asked.filter.state))
		reader.fail("state", "must be one of nf_conntrack's, such as established or time-wait, or "
		                     "single or answered where it is not TCP");
	asked.filter.address = reader.text("address", "");
	if (!asked.filter.address.empty() && !is_address(asked.filter.address))
		reader.fail("address", "must be an IPv4 or IPv6 address");
	asked.filter.port = static_cast<uint16_t>(reader.integer("port", 0, 0, 65535));
	reader.finish();
	CaptureInput input(file, keep_going);
	ConnectionTracker tracker(expire);
	Progress progress("packets of " + file);
	// Whether a time can be believed is seen from the next one: the last frame of a batch waits.
	std::optional<packet::Frame> last;
	std::vector<uint8_t> last_bytes;
	while (traffic::FrameBatch *batch = input.next()) {
		const std::span<const packet::Frame> frames(batch->frames);
		if (!frames.empty()) {
			if (last)
				tracker.add({&*last, 1}, frames.front().time_ns);
			tracker.add(frames.first(frames.size() - 1), frames.back().time_ns);
			last = frames.back();
			last_bytes.assign(last->data, last->data + last->captured);
			last->data = last_bytes.data();
		}
		input.give_back(batch);
		progress(tracker.packets());
	}
	if (last)
		tracker.add({&*last, 1}, last->time_ns);
	report(tracker, input, file, expire, asked);
}

} // namespace reframer::lab
