// Job `analyze`: how much locality do captures have, and what would holding packets bring?
//
// Specification: {"files": [...], "keepGoing": false, "atMost": packets after which reading stops, at
// the end of a batch; 0 reads all}. One record a file:
//   file, format ("pcap", "pcapng", "erf"), compression, linkTypes
//   packets, bytes (original lengths), flows (directional 5-tuples of the outer packet; what is not
//     IP counts by EtherType and addresses), flowsBidirectional, flowsExact (false: estimates)
//   slf: packets per run of one flow
//   sizes: {mean, p5, p50, p95, shares: {"0-64", ...}} of the original lengths
//   durationSeconds (latest stamp minus earliest), bitsPerSecond, packetsPerSecond (null without
//     time), timeBackwards (steps back of the clock)
//   reuse: share of packets whose flow was seen within the last 1, 4, 16, 64 packets
//   protocols: {tcp, udp (without QUIC), quic (UDP port 443), icmp, other, notIp}: shares
//   unparsed: packets in which no flow could be read
//   gain: {native | "10Gbps" | "40Gbps" | "100Gbps": {"16" | "64" | "128" (us): {slf, ratio}}}: SLF
//     after holding every flow's packets for T, and how many times the capture's that is; native is
//     null when the capture has no timing. A rate puts the frames back to back on an Ethernet wire.
//   verdict: sentences; warnings: sentences; damage: {code, message, offset} or null
#include "jobs/spec_reader.hpp"
#include "lab/captures/analyze_verdict.hpp"
#include "lab/captures/capture_input.hpp"
#include "lab/captures/flow_stats.hpp"

#include <utility>

namespace reframer::lab {
namespace {

struct Sizes {
	const char *name;
	uint32_t low, high;
};
// As in RMON (RFC 2819, etherStatsPkts*), without the check sequence.
constexpr Sizes size_classes[] = {
	{"0-64", 0, 64},
	{"65-127", 65, 127},
	{"128-255", 128, 255},
	{"256-511", 256, 511},
	{"512-1023", 512, 1023},
	{"1024-1518", 1024, 1518},
	{"1519-", 1519, UINT32_MAX},
};

Json sizes_of(const FlowStats &stats)
{
	const double packets = static_cast<double>(std::max<uint64_t>(stats.packets(), 1));
	Json shares = Json::object();
	for (const Sizes &c : size_classes)
		shares[c.name] = static_cast<double>(stats.nb_sizes(c.low, c.high)) / packets;
	return {{"mean", static_cast<double>(stats.bytes()) / packets},
	        {"p5", stats.size_quantile(0.05)},
	        {"p50", stats.size_quantile(0.5)},
	        {"p95", stats.size_quantile(0.95)},
	        {"shares", shares}};
}

Json gain_of(const FlowStats &stats)
{
	Json gain = Json::object();
	for (size_t rate = 0; rate < nb_rates; rate++) {
		const std::string name =
			rate == 0 ? "native" : std::to_string(gain_rates_gbps[rate]) + "Gbps";
		if (rate == 0 && !stats.has_time()) {
			gain[name] = nullptr;
			continue;
		}
		Json &row = gain[name] = Json::object();
		for (size_t delay = 0; delay < nb_delays; delay++) {
			const double slf = stats.slf_after(rate, delay);
			row[std::to_string(gain_delays_ns[delay] / 1000)] = {
				{"slf", slf}, {"ratio", stats.slf() > 0 ? slf / stats.slf() : 1.0}};
		}
	}
	return gain;
}

// Frames that were captured before they were cut for the wire (TSO), or after they were merged from
// it (GRO, LRO): what is counted is not what a NIC sees.
std::string super_frames_of(const FlowStats &stats)
{
	constexpr uint32_t longest_usual = 1526; // an MTU of 1500 with two VLAN tags and check sequence
	// An MTU of 9216, the usual limit of switches, and an Ethernet header with two VLAN tags.
	constexpr uint32_t longest_jumbo = 9216 + 22;
	const uint64_t certain = stats.nb_sizes(longest_jumbo + 1, UINT32_MAX);
	const uint64_t longer = stats.nb_sizes(longest_usual + 1, UINT32_MAX);
	const uint64_t mean = stats.bytes() / stats.packets();
	const std::string advice =
		"; the packets on the wire are more and shorter, and runs of a flow longer. For those, "
		"capture with offloads off (ethtool -K INTERFACE tso off gso off gro off lro off)";
	if (certain)
		return std::to_string(certain) + (certain == 1 ? " frame is" : " frames are") +
		       " longer than any MTU (the longest has " + std::to_string(stats.size_quantile(1)) +
		       " bytes, the mean is " + std::to_string(mean) +
		       "): they are super-frames of TSO or GRO" + advice;
	if (longer * 100 > stats.packets())
		return std::to_string(longer) + (longer == 1 ? " frame is" : " frames are") +
		       " longer than an MTU of 1500 allows (the longest has " +
		       std::to_string(stats.size_quantile(1)) + " bytes, the mean is " +
		       std::to_string(mean) +
		       "): jumbo frames, or super-frames of TSO or GRO. If the MTU "
		       "was 1500" +
		       advice;
	return {};
}

std::vector<std::string> warnings_of(const CaptureInput &input, const FlowStats &stats)
{
	std::vector<std::string> said = input.warnings();
	if (stats.packets() == 0)
		return said;
	if (!stats.has_time())
		said.push_back("all time stamps are equal: nothing can be said about the capture's own "
		               "speed");
	if (stats.time_backwards())
		said.push_back("the clock steps back " + std::to_string(stats.time_backwards()) +
		               (stats.time_backwards() == 1 ? " time" : " times") +
		               "; it was held at the latest time for the gain at native speed");
	if (stats.without_length())
		said.push_back(std::to_string(stats.without_length()) +
		               " packets have lost their original length; the captured length counts");
	if (!stats.flows_exact())
		said.push_back("more flows than are kept at a time: flow counts are estimates (about 1 %)");
	const std::string merged = super_frames_of(stats);
	if (!merged.empty())
		said.push_back(merged);
	const std::string late = too_short_for(stats);
	if (!late.empty())
		said.push_back(late);
	return said;
}

Json record_of(const std::string &file, const CaptureInput &input, const FlowStats &stats)
{
	const double seconds = static_cast<double>(stats.duration_ns()) / 1e9;
	Json reuse = Json::object();
	for (size_t i = 0; i < reuse_distances.size(); i++)
		reuse[std::to_string(reuse_distances[i])] = stats.reuse(i);
	Json rate = nullptr, packet_rate = nullptr;
	if (stats.has_time()) {
		rate = static_cast<double>(stats.bytes()) * 8 / seconds;
		packet_rate = static_cast<double>(stats.packets()) / seconds;
	}
	Json protocols = Json::object();
	constexpr const char *names[nb_protocols] = {"tcp", "udp", "quic", "icmp", "other", "notIp"};
	for (int p = 0; p < nb_protocols; p++)
		protocols[names[p]] = stats.protocol_share(Protocol(p));
	return joined(NAMED(file, input.reader().format(), input.reader().compression(),
	                    input.link_types(), stats.packets(), stats.bytes(), stats.flows(),
	                    stats.flows_bidirectional(), stats.flows_exact(), stats.slf(),
	                    stats.time_backwards(), reuse, protocols, stats.unparsed(), input.damage()),
	              {{"sizes", sizes_of(stats)},
	               {"durationSeconds", seconds},
	               {"bitsPerSecond", rate},
	               {"packetsPerSecond", packet_rate},
	               {"gain", gain_of(stats)},
	               {"verdict", verdict_of(stats)},
	               {"warnings", warnings_of(input, stats)}});
}

// `flows`: memory that one file leaves to the next.
void analyze_file(const std::string &file, bool keep_going, uint64_t at_most, FlowTable &flows)
{
	CaptureInput input(file, keep_going);
	FlowStats stats(max_flows_default, std::move(flows));
	Progress progress("packets of " + file);
	while (traffic::FrameBatch *batch = input.next()) {
		// A batch nearly always comes from one interface; where not, runs of one go together.
		const std::span<const packet::Frame> frames(batch->frames);
		for (size_t at = 0; at < frames.size();) {
			size_t end = at + 1;
			while (end < frames.size() && frames[end].interface == frames[at].interface)
				end++;
			stats.add(frames.subspan(at, end - at), CaptureInput::fcs_bytes(*batch, frames[at]));
			at = end;
		}
		input.give_back(batch);
		progress(stats.packets());
		if (at_most != 0 && stats.packets() >= at_most) {
			input.stop();
			break;
		}
	}
	stats.finish();
	emit(record_of(file, input, stats));
	flows = std::move(stats).take_flows();
}

} // namespace

void run_analyze(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::vector<std::string> files = reader.texts("files", {});
	if (files.empty())
		reader.fail("files", "must be an array of file names");
	const bool keep_going = reader.boolean("keepGoing", false);
	const uint64_t at_most = reader.integer("atMost", 0, 0, 1ull << 53);
	reader.finish();
	FlowTable flows;
	for (const std::string &file : files)
		analyze_file(file, keep_going, at_most, flows);
}

} // namespace reframer::lab
