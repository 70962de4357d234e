// Jobs `analyze` and `reorder` from the inside: what the one computes, the other's engine does.
#include "lab/captures/flow_order.hpp"
#include "lab/captures/flow_stats.hpp"
#include "lab/captures/order_check.hpp"
#include "lab/captures/reorder_run.hpp"
#include "support/folder.hpp"
#include "support/packet_builder.hpp"
#include "support/seed.hpp"
#include "traffic/capture_writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <zlib.h>

namespace reframer::lab {
// The program's own lives in main.cpp; nothing here emits.
void emit(const Json &) {}
} // namespace reframer::lab

using namespace reframer;
using namespace reframer::lab;

namespace {

struct Packet {
	test::Bytes data;
	uint32_t wire;
	uint64_t time_ns;
};

test::Bytes udp_packet(uint32_t flow, uint32_t number)
{
	test::Bytes text = test::be32_bytes(flow);
	const test::Bytes serial = test::be32_bytes(number);
	text.insert(text.end(), serial.begin(), serial.end());
	const std::string source = "10." + std::to_string(flow >> 16 & 255) + "." +
	                           std::to_string(flow >> 8 & 255) + "." + std::to_string(flow & 255);
	return test::ethernet(test::type_ipv4,
	                      test::ipv4({.source = source}, test::udp({.payload = text})));
}

// Flows of very different sizes in bursts, some frames that are not IP, times in clumps.
std::vector<Packet> mixed_traffic(uint64_t seed, uint32_t count, uint32_t nb_flows)
{
	std::mt19937_64 random(seed);
	std::vector<Packet> packets;
	uint64_t time = 1'700'000'000'000'000'000;
	for (uint32_t i = 0; i < count; i++) {
		const double u = static_cast<double>(random() % 10'000) / 10'000;
		const auto flow = static_cast<uint32_t>(u * u * u * nb_flows);
		time += random() % 4 ? random() % 300 : random() % 20'000;
		test::Bytes data;
		if (random() % 50 == 0) {
			test::Mac mac;
			mac.source[5] = static_cast<uint8_t>(random() % 3);
			data = test::ethernet(test::type_arp, test::be32_bytes(i), mac);
		} else {
			data = udp_packet(flow, i);
		}
		packets.push_back({data, static_cast<uint32_t>(60 + random() % 1440), time});
	}
	return packets;
}

void write_capture(const std::string &file, const std::vector<Packet> &packets)
{
	traffic::CaptureWriter writer(file);
	for (const Packet &p : packets)
		writer.write({p.data.data(), static_cast<uint32_t>(p.data.size()), p.wire, 0,
		              packet::LinkType::ethernet, 0},
		             p.time_ns, {});
	writer.finish();
}

std::string text_of(const test::Bytes &data)
{
	return {data.begin(), data.end()};
}

// Told apart without the project's parser: by address of the link (ARP) or source address (IPv4).
std::string flow_of(const test::Bytes &data)
{
	constexpr uint8_t arp = 6;
	return data[13] == arp ? text_of(data).substr(6, 8) : text_of(data).substr(26, 4);
}

std::vector<Packet> read_capture(const std::string &file)
{
	std::vector<Packet> packets;
	const auto reader = traffic::open_capture(file);
	traffic::FrameBatch batch;
	while (reader->fill(batch))
		for (const packet::Frame &f : batch.frames)
			packets.push_back({test::Bytes(f.data, f.data + f.captured), f.wire, f.time_ns});
	return packets;
}

struct Outcome {
	double slf_in, slf_out;
	uint64_t hold_max_ns, reordered, in, out;
	reframer_stats stats;
	bool stood_still;
};

Outcome reorder(const std::string &in, const std::string &out, const ReorderOptions &options)
{
	CaptureInput input(in, false, ReorderRun::max_batches);
	traffic::CaptureWriter writer(out, {in});
	ReorderRun run(input, writer, options);
	Progress progress("");
	run.run(progress);
	writer.finish();
	return {run.in().slf(),   run.out().slf(),   run.hold_max_ns(), run.flows_reordered(),
	        run.in().packets, run.out().packets, run.stats(),       run.time_stood_still()};
}

FlowStats stats_of(const std::vector<Packet> &packets, size_t max_flows = max_flows_default)
{
	FlowStats stats(max_flows);
	for (const Packet &p : packets) {
		const packet::Frame frame{p.data.data(), static_cast<uint32_t>(p.data.size()), p.wire,
		                          p.time_ns,     packet::LinkType::ethernet,           0};
		stats.add({&frame, 1}, 0);
	}
	return stats;
}

} // namespace

TEST_CASE("the gain that analyze computes is the one that the engine gives, at every rate and T")
{
	const test::Folder folder;
	const uint64_t seed = test::seed_for("gain", 20221);
	const auto packets = mixed_traffic(seed, 30'000, 400);
	write_capture(folder.file("in.pcap"), packets);
	const FlowStats stats = stats_of(packets);
	for (size_t rate = 0; rate < nb_rates; rate++)
		for (size_t delay = 0; delay < nb_delays; delay++) {
			CAPTURE(rate);
			CAPTURE(delay);
			ReorderOptions options;
			options.delay_ns = gain_delays_ns[delay];
			options.rate_bps = gain_rates_gbps[rate] * 1'000'000'000;
			const Outcome o = reorder(folder.file("in.pcap"), folder.file("out.pcap"), options);
			CHECK(o.slf_in == doctest::Approx(stats.slf()));
			CHECK(o.slf_out == doctest::Approx(stats.slf_after(rate, delay)).epsilon(1e-12));
			CHECK(o.hold_max_ns <= options.delay_ns);
			CHECK(o.stats.released[REFRAMER_BY_CAPACITY] == 0);
		}
}

TEST_CASE("reorder: the same frames, each flow in order, nobody held beyond T, stamps that rise")
{
	const test::Folder folder;
	const uint64_t seed = test::seed_for("reorder", 20222);
	auto packets = mixed_traffic(seed, 20'000, 300);
	packets[500].time_ns -= 1'000'000; // a clock that steps back
	write_capture(folder.file("in.pcap"), packets);
	std::map<std::string, std::pair<size_t, uint64_t>> came;
	uint64_t latest = 0;
	for (size_t i = 0; i < packets.size(); i++) {
		latest = std::max(latest, packets[i].time_ns);
		REQUIRE(came.emplace(text_of(packets[i].data), std::pair{i, latest}).second);
	}
	for (const uint32_t policy : {REFRAMER_FIXED, REFRAMER_ADAPTIVE, REFRAMER_BURST})
		for (const uint64_t delay :
		     {uint64_t{0}, uint64_t{1}, uint64_t{50'000}, uint64_t{5'000'000}})
			for (const uint32_t max_burst : {uint32_t{4}, UINT32_MAX}) {
				CAPTURE(policy);
				CAPTURE(delay);
				ReorderOptions options;
				options.policy = policy;
				options.delay_ns = delay;
				options.max_burst = max_burst;
				const Outcome o = reorder(folder.file("in.pcap"), folder.file("out.pcap"), options);
				CHECK(o.reordered == 0);
				CHECK(o.slf_out >= o.slf_in);
				const auto out = read_capture(folder.file("out.pcap"));
				REQUIRE(out.size() == packets.size());
				std::map<std::string, size_t> last_of_flow;
				std::set<size_t> seen;
				uint64_t time = 0, longest = 0;
				for (const Packet &p : out) {
					const auto [index, arrival] = came.at(text_of(p.data));
					REQUIRE(seen.insert(index).second);
					REQUIRE(p.wire == packets[index].wire);
					REQUIRE(p.time_ns >= time);
					time = p.time_ns;
					REQUIRE(p.time_ns >= arrival);
					REQUIRE(p.time_ns - arrival <= delay);
					longest = std::max(longest, p.time_ns - arrival);
					const auto [at, fresh] = last_of_flow.try_emplace(flow_of(p.data), index);
					REQUIRE((fresh || at->second < index));
					at->second = index;
				}
				CHECK(longest == o.hold_max_ns);
			}
}

TEST_CASE("reorder: a clock that stands still is bounded by what may be held")
{
	const test::Folder folder;
	auto packets = mixed_traffic(7, 30'000, 5'000);
	for (Packet &p : packets)
		p.time_ns = 1000;
	write_capture(folder.file("in.pcap"), packets);
	const Outcome o = reorder(folder.file("in.pcap"), folder.file("out.pcap"), {});
	CHECK(o.in == o.out);
	CHECK(o.reordered == 0);
	CHECK(o.stats.released[REFRAMER_BY_CAPACITY] > 0);
	CHECK(o.stood_still);
	CHECK(o.stats.packets_held_max <= 16384);
	CHECK(read_capture(folder.file("out.pcap")).size() == packets.size());
	packets.back().time_ns++;
	write_capture(folder.file("in.pcap"), packets);
	CHECK_FALSE(reorder(folder.file("in.pcap"), folder.file("out.pcap"), {}).stood_still);
}

TEST_CASE("reorder: every key keeps the order of its flows")
{
	const test::Folder folder;
	write_capture(folder.file("in.pcap"), mixed_traffic(8, 5'000, 100));
	for (const auto key : {packet::KeyKind::five_tuple, packet::KeyKind::symmetric,
	                       packet::KeyKind::destination, packet::KeyKind::inner}) {
		ReorderOptions options;
		options.key = key;
		const Outcome o = reorder(folder.file("in.pcap"), folder.file("out.pcap"), options);
		CHECK(o.in == o.out);
		CHECK(o.reordered == 0);
	}
}

TEST_CASE("the order check finds what is out of order, and forgets what has left")
{
	OrderCheck check(16);
	const auto a0 = check.enter(1), b0 = check.enter(2), a1 = check.enter(1), a2 = check.enter(1);
	check.leave(b0);
	check.leave(a1);
	check.leave(a0);
	check.leave(a2);
	CHECK(check.nb_reordered() == 1);
	for (uint64_t flow = 0; flow < 100'000; flow++)
		check.leave(check.enter(flow * 0x10000));
	CHECK(check.nb_reordered() == 1);
	const auto c0 = check.enter(3), c1 = check.enter(3);
	check.leave(c0);
	check.leave(c1);
	CHECK(check.nb_reordered() == 1);
}

TEST_CASE("runs, reuse and flows of a known sequence")
{
	std::vector<Packet> packets;
	uint64_t time = 0;
	for (const uint32_t flow : {1u, 1u, 2u, 1u, 3u, 3u, 3u, 2u})
		packets.push_back({udp_packet(flow, 0), 100, time += 1000});
	const FlowStats stats = stats_of(packets);
	CHECK(stats.packets() == 8);
	CHECK(stats.flows() == 3);
	CHECK(stats.slf() == doctest::Approx(8.0 / 5));
	CHECK(stats.reuse(0) == doctest::Approx(3.0 / 8)); // last packet
	CHECK(stats.reuse(1) == doctest::Approx(4.0 / 8)); // last 4: 1 after 2
	CHECK(stats.reuse(2) == doctest::Approx(5.0 / 8)); // last 16: 2 after five others
	// All within 16 us: one run a flow.
	CHECK(stats.slf_after(0, 0) == doctest::Approx(8.0 / 3));
	CHECK(stats.size_quantile(0.5) == 100);
	CHECK(stats.nb_sizes(65, 127) == 8);
	CHECK(stats.duration_ns() == 7000);
}

TEST_CASE("more flows than are kept: runs stay right, flow counts become estimates")
{
	std::vector<Packet> packets;
	for (uint32_t i = 0; i < 40'000; i++) {
		packets.push_back({udp_packet(i % 20'000, 0), 60, i * 1000ull});
		packets.push_back({udp_packet(i % 20'000, 1), 60, i * 1000ull});
	}
	const FlowStats all = stats_of(packets), few = stats_of(packets, 1000);
	CHECK(all.flows_exact());
	CHECK(all.flows() == 20'000);
	CHECK_FALSE(few.flows_exact());
	CHECK(static_cast<double>(few.flows()) == doctest::Approx(20'000).epsilon(0.03));
	CHECK(few.slf() == doctest::Approx(all.slf()).epsilon(0.002));
	CHECK(few.slf_after(1, 2) == doctest::Approx(all.slf_after(1, 2)).epsilon(0.02));
}

TEST_CASE("the distinct counter has the error of its registers at any count, and no bias")
{
	constexpr double standard_error = 1.04 / 128; // 16,384 registers
	constexpr uint32_t nb_counters = 64;
	std::mt19937_64 random(test::seed_for("distinct", 20223));
	// At 40,000 the estimator of 2007 changes from one formula to another, 2.5 registers each.
	for (const uint64_t upto : {1u, 100u, 10'000u, 40'000u, 60'000u, 200'000u}) {
		CAPTURE(upto);
		double sum = 0;
		for (uint32_t i = 0; i < nb_counters; i++) {
			DistinctCounter counter;
			for (uint64_t added = 0; added < upto; added++) {
				const uint64_t hash = random();
				counter.add(hash);
				counter.add(hash);
			}
			const double relative = counter.estimate() / static_cast<double>(upto);
			CHECK(relative == doctest::Approx(1).epsilon(5 * standard_error));
			sum += relative;
		}
		CHECK(sum / nb_counters == doctest::Approx(1).epsilon(5 * standard_error / 8));
	}
	CHECK(DistinctCounter().estimate() == 0);
}

namespace {

using namespace test;

// A datagram of a flow in three fragments; last first, or in order.
void add_fragments(std::vector<Packet> &to, uint16_t port, uint32_t id, bool last_first,
                   uint64_t &time)
{
	std::vector<Bytes> parts = {
		ethernet(type_ipv4, ipv4({.id = id, .more_fragments = true},
	                             udp({.source = port, .payload = Bytes(16, 0)}))),
		ethernet(type_ipv4, ipv4({.id = id, .fragment_offset = 24, .more_fragments = true},
	                             segment(17, Bytes(24, 0)))),
		ethernet(type_ipv4, ipv4({.id = id, .fragment_offset = 48}, segment(17, Bytes(24, 0))))};
	if (last_first)
		std::reverse(parts.begin(), parts.end());
	for (const Bytes &part : parts)
		to.push_back({part, static_cast<uint32_t>(part.size()), time += 1000});
}

} // namespace

TEST_CASE("fragments count to the flow of their first, whichever way they were sent")
{
	for (const bool last_first : {false, true}) {
		std::vector<Packet> packets;
		uint64_t time = 0;
		for (uint32_t id = 0; id < 50; id++)
			add_fragments(packets, static_cast<uint16_t>(1000 + id % 5), id, last_first, time);
		FlowStats stats = stats_of(packets);
		stats.finish();
		CHECK(stats.packets() == 150);
		CHECK(stats.flows() == 5);
		CHECK(stats.slf() == doctest::Approx(3));
		// One whose first never comes is counted, too, at the end.
		add_fragments(packets, 77, 900, true, time);
		packets.pop_back();
		FlowStats cut = stats_of(packets);
		cut.finish();
		CHECK(cut.packets() == 152);
		CHECK(cut.flows() == 6);
	}
}

TEST_CASE("reorder: whole and fragmented datagrams of a flow keep their order, under every key")
{
	const test::Folder folder;
	for (const bool last_first : {false, true}) {
		std::vector<Packet> packets;
		uint64_t time = 1'000'000;
		for (uint32_t id = 0; id < 500; id++) {
			const auto port = static_cast<uint16_t>(1000 + id % 7);
			if (id % 3) {
				add_fragments(packets, port, id, last_first, time);
				continue;
			}
			const Bytes whole = ethernet(type_ipv4, ipv4({}, udp({.source = port})));
			packets.push_back({whole, static_cast<uint32_t>(whole.size()), time += 1000});
		}
		write_capture(folder.file("in.pcap"), packets);
		for (const auto key : {packet::KeyKind::five_tuple, packet::KeyKind::symmetric,
		                       packet::KeyKind::destination, packet::KeyKind::inner})
			for (const uint32_t policy : {REFRAMER_FIXED, REFRAMER_BURST}) {
				ReorderOptions options;
				options.key = key;
				options.policy = policy;
				const Outcome o = reorder(folder.file("in.pcap"), folder.file("out.pcap"), options);
				CHECK(o.in == o.out);
				CHECK(o.reordered == 0);
			}
	}
}

TEST_CASE("the order check goes by flow and datagram, not by how packets are grouped")
{
	const auto headers = [](const Bytes &frame) {
		const auto size = static_cast<uint32_t>(frame.size());
		return packet::parse(frame.data(), size, size, packet::LinkType::ethernet,
		                     packet::Depth::outer);
	};
	std::vector<Packet> parts;
	uint64_t time = 0;
	add_fragments(parts, 1000, 1, false, time);
	const Bytes whole = ethernet(type_ipv4, ipv4({}, udp({.source = 1000})));
	const auto reordered = [&](std::vector<const Bytes *> in, std::vector<size_t> out) {
		FlowOrder order(16);
		std::vector<FlowOrder::Ticket> tickets;
		for (const Bytes *frame : in)
			tickets.push_back(order.enter(headers(*frame), frame->data()));
		for (const size_t i : out)
			order.leave(tickets[i]);
		return order.nb_reordered();
	};
	const Bytes &first = parts[0].data, &second = parts[1].data, &last = parts[2].data;
	CHECK(reordered({&whole, &first, &second}, {0, 1, 2}) == 0);
	CHECK(reordered({&whole, &first}, {1, 0}) == 1);
	CHECK(reordered({&first, &second, &whole}, {0, 2, 1}) == 1);
	CHECK(reordered({&last, &first}, {1, 0}) == 1);
	CHECK(reordered({&last, &whole, &first}, {1, 0, 2}) == 0);
}

TEST_CASE("files that are small as they are have no thread to read ahead, compressed ones do")
{
	const test::Folder folder;
	const std::string plain = folder.file("plain.pcap"), packed = folder.file("packed.pcap.gz");
	write_capture(plain, mixed_traffic(test::seed_for("read ahead", 4), 2'000, 50));
	std::ifstream in(plain, std::ios::binary);
	const std::string bytes{std::istreambuf_iterator<char>(in), {}};
	const gzFile out = gzopen(packed.c_str(), "wb1");
	REQUIRE(out);
	REQUIRE(gzwrite(out, bytes.data(), static_cast<unsigned>(bytes.size())) == int(bytes.size()));
	REQUIRE(gzclose(out) == Z_OK);
	const auto ahead = [](const std::string &file) {
		CaptureInput input(file, false);
		uint64_t frames = 0;
		while (traffic::FrameBatch *batch = input.next()) {
			frames += batch->frames.size();
			input.give_back(batch);
		}
		CHECK(frames == 2'000);
		return input.reads_ahead();
	};
	CHECK_FALSE(ahead(plain));
	CHECK(ahead(packed));

	write_capture(plain, mixed_traffic(test::seed_for("read ahead", 4), 20'000, 50));
	CaptureInput large(plain, false);
	CHECK(large.reads_ahead());

	// Who has enough stops it: what is asked of the reader then, nobody writes any more.
	traffic::FrameBatch *batch = large.next();
	REQUIRE(batch);
	large.give_back(batch);
	large.stop();
	CHECK_FALSE(large.reads_ahead());
	CHECK(large.next() == nullptr);
	CHECK(large.link_types().size() == 1);
}
