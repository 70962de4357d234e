// Job `conntrack-lb`: the paper's network function on one core: look each packet's flow up, give new
// flows a server, rewrite the destination.
//
// spec   {"contender": "cuckoopp", "packetsPerNew": 31, "slots": 4194304, "fillPercent": 60,
//         "liveFlows": 300000, "packets": 2000000, "depth": 32, "seed": 1}
//        slots: of a table of a power of two; fillPercent: flows that lie in it before the first
//        packet, those live included; popular flows send more packets (Zipf 1.1)
// record {"contender","packets","newFlows","mpps","cyclesPerPacket","loadPercent","tscGhz"}
//        cycles of the time stamp counter, the median of pieces of 8192 packets; loadPercent: flows over slots at the end
//
// Bursts of 32 headers of 64 bytes, one behind the other in memory; nothing ends or expires, as in
// the paper's throughput figures. A burst is looked up, its misses inserted together. New flows of a
// burst share a server, bursts take the ten servers in turn. Afterwards every packet's server is
// compared with a map's.
#include "lab/conntrack/trial.hpp"
#include "measure/median.hpp"
#include "packet/checksum.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <unordered_map>

namespace reframer::lab {

namespace {

constexpr uint32_t burst_size = conntrack::tracker_burst;
// Packets that are timed together.
constexpr uint32_t piece = 256 * burst_size;
constexpr uint32_t key_size = KeyColumn::key_size;
constexpr uint32_t header_size = 64; // Ethernet, IPv4, TCP, padded to a line
constexpr uint32_t ip_at = 14, checksum_at = ip_at + 10, source_at = ip_at + 12;
constexpr uint32_t destination_at = ip_at + 16, ports_at = ip_at + 20;

using Servers = std::array<uint32_t, 10>; // addresses, network order

void write_header(uint8_t *h, const uint8_t *key)
{
	std::memset(h, 0, header_size);
	h[12] = 0x08;
	h[ip_at] = 0x45;
	h[ip_at + 8] = 64;
	h[ip_at + 9] = key[12];
	std::memcpy(h + source_at, key, 8);
	std::memcpy(h + ports_at, key + 8, 4);
	packet::put_be16(h + checksum_at, packet::checksum(h + ip_at, 20));
}

// A packet without options that may be tracked; else false. Not the parser, which would cost as much
// as the lookup that this job is about.
bool read_key(const uint8_t *h, uint8_t *key)
{
	if (h[12] != 0x08 || h[13] != 0x00 || h[ip_at] != 0x45)
		return false;
	std::memcpy(key, h + source_at, 8);
	std::memcpy(key + 8, h + ports_at, 4);
	uint32_t rest = h[ip_at + 9];
	std::memcpy(key + 12, &rest, 4);
	return true;
}

// The sum does not depend on byte order: all in memory order.
void set_destination(uint8_t *h, uint32_t address)
{
	const uint16_t check =
		packet::checksum_update32(packet::load<uint16_t>(h + checksum_at),
	                              packet::load<uint32_t>(h + destination_at), address);
	std::memcpy(h + destination_at, &address, 4);
	std::memcpy(h + checksum_at, &check, 2);
}

class LoadBalancer {
public:
	LoadBalancer(conntrack::Tracker &tracker, const Servers &servers)
		: tracker_(tracker), servers_(servers)
	{
	}

	// @return packets without room for their flow; their destination stays.
	uint32_t burst(uint8_t *headers)
	{
		uint8_t *packet[burst_size];
		uint32_t n = 0, nb_missing = 0, refused = 0;
		for (uint32_t i = 0; i < burst_size; i++) {
			packet[n] = headers + size_t{i} * header_size;
			n += read_key(packet[n], keys_ + size_t{n} * key_size);
		}
		tracker_.find(keys_, n, values_, found_);
		for (uint32_t i = 0; i < n; i++)
			if (!found_[i])
				std::memcpy(missing_ + size_t{nb_missing++} * key_size,
				            keys_ + size_t{i} * key_size, key_size);
		if (nb_missing) {
			turn_ = turn_ + 1 == servers_.size() ? 0 : turn_ + 1;
			new_flows_ += tracker_.track(missing_, nb_missing, turn_, results_);
		}
		for (uint32_t i = 0, m = 0; i < n; i++) {
			if (!found_[i] && results_[m++] == conntrack::Tracker::refused)
				refused++;
			else
				set_destination(packet[i], servers_[found_[i] ? values_[i] : turn_]);
		}
		return refused;
	}
	uint64_t new_flows() const { return new_flows_; }

private:
	conntrack::Tracker &tracker_;
	const Servers &servers_;
	uint64_t turn_ = 0, new_flows_ = 0;
	uint8_t keys_[burst_size * key_size], missing_[burst_size * key_size];
	uint8_t found_[burst_size], results_[burst_size];
	uint64_t values_[burst_size];
};

// Every packet of a flow must have got the server of its first one; flows that were there have theirs.
void check(const Contender &contender, const KeyColumn &keys, const std::vector<uint8_t> &headers,
           const Servers &servers, const KeyColumn &live, uint64_t live_server)
{
	std::unordered_map<std::string, uint32_t> expected;
	auto text = [](const uint8_t *key) {
		return std::string(reinterpret_cast<const char *>(key), key_size);
	};
	for (uint32_t i = 0; i < live.size(); i++)
		expected[text(live.at(i))] = servers[live_server];
	for (uint32_t p = 0; p < keys.size(); p++) {
		const uint8_t *h = &headers[size_t{p} * header_size];
		uint32_t got;
		std::memcpy(&got, h + destination_at, 4);
		bool known = std::find(servers.begin(), servers.end(), got) != servers.end();
		if (!known || expected.emplace(text(keys.at(p)), got).first->second != got)
			contender.wrong("packet " + std::to_string(p) +
			                " went to another server than its flow");
		if (packet::checksum(h + ip_at, 20) != 0)
			contender.wrong("packet " + std::to_string(p) + " left with a broken checksum");
	}
}

} // namespace

void run_conntrack_lb(const Json &json)
{
	SpecReader in(json, "");
	ContenderSpec spec;
	spec.read(in);
	spec.read_depth(in, burst_size);
	const auto per_new = in.integer<uint32_t>("packetsPerNew", 31, 2, 1'000'000);
	const uint64_t slots = in.integer("slots", 1 << 22, 1 << 12, 1 << 26);
	const double fill = in.real("fillPercent", 60, 0, 95);
	const uint64_t live_flows = in.integer("liveFlows", 300'000, 1000, 1 << 24);
	const uint32_t packets =
		in.integer<uint32_t>("packets", 2'000'000, 1 << 14, 1 << 26) / piece * piece;
	if (!std::has_single_bit(slots))
		in.fail("slots", "must be a power of two");
	const auto before = std::max(live_flows, static_cast<uint64_t>(double(slots) * fill / 100));
	if (before + packets / per_new * 1.1 > double(slots))
		in.fail("packets", "bring more new flows than there are slots");
	in.finish();
	conntrack::TrackerOptions options = spec.options(slots, true);
	options.updates = true;
	const Contender tracker(spec.contender, options);
	if (!tracker)
		return;

	TraceStream stream(live_flows, per_new, spec.seed);
	const KeyColumn live = stream.live_keys();
	constexpr uint64_t live_server = 7;
	tracker.insert(live, live_server);
	// Flows that send nothing: keys that no live one has.
	each_call(before - live_flows, [&](uint32_t first, uint32_t n) {
		KeyColumn silent;
		silent.add_flows(live_flows + first, n, 3);
		tracker.insert(silent, 0);
	});
	const TraceStream::Chunk chunk = stream.next(packets, burst_size);
	std::vector<uint8_t> headers(size_t{packets} * header_size);
	for (uint32_t p = 0; p < packets; p++)
		write_header(&headers[size_t{p} * header_size], chunk.packets.at(p));

	Servers servers;
	for (uint32_t i = 0; i < servers.size(); i++)
		servers[i] = 0x0a | (i + 1) << 24; // 10.0.0.x
	LoadBalancer balancer(*tracker.tracker, servers);
	uint32_t refused = 0;
	std::vector<uint64_t> pieces; // of as many packets each
	for (uint32_t p = 0; p + piece <= packets; p += piece) {
		const uint64_t start = engine::tsc_start();
		for (uint32_t b = p; b < p + piece; b += burst_size)
			refused += balancer.burst(&headers[size_t{b} * header_size]);
		pieces.push_back(engine::tsc_stop() - start);
	}
	if (refused || balancer.new_flows() != chunk.nb_new ||
	    tracker->flows() != before + chunk.nb_new)
		tracker.wrong("counted " + std::to_string(balancer.new_flows()) + " new flows, not " +
		              std::to_string(chunk.nb_new) + ", and refused " + std::to_string(refused));
	check(tracker, chunk.packets, headers, servers, live, live_server);
	const double tsc_ghz = engine::measure_tsc_hz() * 1e-9;
	const double cycles_per_packet = double(engine::quantile(pieces, 0.5)) / piece;
	const double mpps = tsc_ghz * 1e3 / cycles_per_packet;
	const double load_percent = double(tracker->flows()) / double(slots) * 100;
	emit(joined(NAMED(spec.contender, packets, mpps, cycles_per_packet, load_percent, tsc_ghz),
	            {{"newFlows", chunk.nb_new}}));
}

} // namespace reframer::lab
