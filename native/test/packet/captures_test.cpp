// Real frames. The captures are not part of the project: without them these tests say so and pass.
#include "packet/classify.hpp"
#include "packet/flow_key.hpp"
#include "packet/fragment_table.hpp"

#include <doctest/doctest.h>
#include <pcap/pcap.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

using namespace reframer::packet;
namespace fs = std::filesystem;

namespace {

const fs::path traces = REFRAMER_TRACES;

bool absent(const char *folder)
{
	if (fs::is_directory(traces / folder))
		return false;
	std::fprintf(stderr, "skipped: no captures under ../shared/traces/%s\n", folder);
	return true;
}

// Every frame that libpcap gets out of a file; damaged files end early, which is not ours to judge.
uint64_t for_each_frame(const fs::path &file, const std::function<void(const Frame &)> &visit)
{
	char error[PCAP_ERRBUF_SIZE];
	const std::unique_ptr<pcap_t, void (*)(pcap_t *)> reader(
		pcap_open_offline_with_tstamp_precision(file.c_str(), PCAP_TSTAMP_PRECISION_NANO, error),
		pcap_close);
	if (!reader)
		return 0;
	// libpcap turns LINKTYPE_RAW into its own DLT_RAW; the other numbers are the file's.
	const int type = pcap_datalink(reader.get());
	const auto link = static_cast<LinkType>(type == DLT_RAW ? 101 : type);
	pcap_pkthdr *header;
	const u_char *data;
	uint64_t nb_frames = 0;
	while (pcap_next_ex(reader.get(), &header, &data) == 1) {
		// A block of its own, so that the address sanitizer guards the frame's end.
		const auto copy = std::make_unique_for_overwrite<uint8_t[]>(header->caplen);
		std::memcpy(copy.get(), data, header->caplen);
		visit({copy.get(), header->caplen, header->len, nb_frames, link, 0});
		nb_frames++;
	}
	return nb_frames;
}

// Groups by hash are groups by key, for every kind; returns the number of outer 5-tuples.
size_t check_file(const fs::path &file)
{
	constexpr uint64_t seed = 42;
	std::unordered_set<FlowKey> flows;
	FragmentTable fragments;
	std::unordered_map<uint32_t, FlowKey> key_of_hash[4];
	std::unordered_set<FlowKey> collided;
	uint64_t disagreements = 0;
	for_each_frame(file, [&](const Frame &frame) {
		for (const KeyKind kind :
		     {KeyKind::five_tuple, KeyKind::symmetric, KeyKind::destination, KeyKind::inner}) {
			const Depth depth = kind == KeyKind::inner ? Depth::innermost : Depth::outer;
			const Headers headers = parse(frame, depth);
			const FlowKey key = flow_key_of(headers, frame.data);
			if (kind == KeyKind::five_tuple)
				flows.insert(fragments.flow_of(headers, frame.data).tuple);
			FlowKey group = grouping_key(key, kind);
			const Digest fast = classify(frame.data, frame.captured, frame.link, kind, seed);
			const Digest slow = classify_parsed(frame.data, frame.captured, frame.link, kind, seed);
			disagreements += fast.hash != slow.hash || fast.traits != slow.traits ||
			                 fast.hash != hash_of(group, seed);
			if (!group.is_flow())
				group = FlowKey{};
			auto &known = key_of_hash[static_cast<int>(kind)];
			if (known.try_emplace(fast.hash, group).first->second != group)
				collided.insert(group);
		}
	});
	CHECK(disagreements == 0);
	// Tens of thousands of flows in 32 bits: one pair is not rare, several would be.
	CHECK(collided.size() <= 3);
	return flows.size();
}

} // namespace

TEST_CASE("directional flows of the real captures")
{
	if (absent("real"))
		return;
	// Counted by an independent reader; frames that are not IP by link addresses and EtherType.
	const struct {
		const char *name;
		size_t flows;
	} expected[] = {
		{"campus-dns-2017-33k-headers-anon", 29442},
		{"datacenter-uni1-2009-10k", 1329},
		{"ddos-synack-reflection-8k", 7834},
		{"ddos-synflood-spoofed-37k", 37669},
		{"edge-2003-pingsweep-web-15k", 6685},
		{"host-bittorrent-2020s-8k", 1421},
		{"host-tls-ipv6-7k", 665},
		{"host-web-quic-2015-4k", 526},
		{"ics-modbus-12k", 1250},
		{"isp-dsl-2010-wits-10k", 3184},
		{"isp-edge-snabb-4k-notime", 1006},
		{"lab-echo-500conns-82k", 1000},
		{"lab-httpload-onvm-14k", 1500},
		{"mix-iot-devices-60s", 12598},
		{"mix-ndpi-apps-30s", 6304},
	};
	for (const auto &e : expected) {
		CAPTURE(e.name);
		CHECK(check_file(traces / "real" / (std::string(e.name) + ".pcap")) == e.flows);
	}
}

TEST_CASE("frames of every format")
{
	if (absent("formats"))
		return;
	for (const auto &entry : fs::directory_iterator(traces / "formats")) {
		CAPTURE(entry.path().filename().string());
		check_file(entry.path());
	}
}
