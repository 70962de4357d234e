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

#include <algorithm>
#include <iostream>

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
	const std::vector<uint64_t> chosen =
		chosen_flows(tracker, asked.filter, asked.order, asked.top);
	const auto &all = tracker.connections();
	std::string text;
	for (size_t first = 0; first < chosen.size(); first += flows_a_record) {
		const size_t end = std::min(first + flows_a_record, chosen.size());
		text = asked.csv ? "" : "{\"flows\":[";
		for (size_t i = first; i < end; i++) {
			if (asked.csv) {
				append_csv(text, all[chosen[i]], tracker.origin_ns());
				continue;
			}
			if (i > first)
				text += ',';
			append_json(text, all[chosen[i]], tracker.origin_ns());
		}
		if (asked.csv)
			emit({{"csv", text}});
		else
			std::cout << text.append("]}\n")
					  << std::flush; // text already: a record as emit() writes it
	}
	return chosen.size();
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
	                         {{"flows", tracker.connections().size()}, {"shown", shown}})}});
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
	asked.filter.state = reader.text("state", "");
	asked.filter.address = reader.text("address", "");
	asked.filter.port = static_cast<uint16_t>(reader.integer("port", 0, 0, 65535));
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
	report(tracker, input, file, expire, asked);
}

} // namespace reframer::lab
