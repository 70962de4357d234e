// The published implementation's twelve defects (FastClick's sfmaker, read in June 2026), each as a
// test of what this engine does instead. The eighth is in allocation_test.cpp, a program of its own.
#include "stage_fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace reframer::test;

TEST_CASE("defect 1: a bypass of a flow with held packets overtakes them and strands others")
{
	Stage stage([](reframer_params &p) { p.bypass = REFRAMER_BYPASS_SYN; });
	stage.push({{1, ack(1)}, {2, ack(2)}, {3, ack(3)}, {4, syn(2)}}, 0);
	CHECK(stage.poll(0) == std::vector<uint64_t>{2, 4}); // flow 2 is not at the head of its queue
	CHECK(stage.poll(64'000) == std::vector<uint64_t>{1, 3});
	CHECK(stage.stats().released[REFRAMER_BY_BYPASS] == 1);
}

TEST_CASE("defect 2: a flow that was once forced out is never held again")
{
	Stage stage([](reframer_params &p) { p.max_packets = 32; });
	std::vector<Packet> flood;
	for (uint64_t i = 1; i <= 40; i++)
		flood.push_back({i, ack(1)});
	stage.push(flood, 0);
	CHECK(stage.poll(0).size() == 40); // one group: all of it leaves
	stage.push({{41, ack(1)}, {42, ack(1)}}, 1000);
	CHECK(stage.poll(1000).empty());
	CHECK(stage.poll(64'999).empty());
	CHECK(stage.poll(65'000) == std::vector<uint64_t>{41, 42});
}

TEST_CASE("defect 3: the capacity counts flows, and is not kept on the bypass path")
{
	Stage stage([](reframer_params &p) {
		p.max_packets = 64;
		p.bypass = REFRAMER_BYPASS_SYN;
	});
	uint64_t id = 0;
	for (uint32_t round = 0; round < 1000; round++) {
		std::vector<Packet> burst;
		for (uint32_t i = 0; i < 32; i++, id++)
			burst.push_back({id + 1, id % 101 ? ack(id % 50) : syn(id % 50)});
		stage.push(burst, round * 100);
		stage.poll(round * 100);
		REQUIRE(stage.stats().packets_held <= 64);
	}
	CHECK(stage.stats().released[REFRAMER_BY_CAPACITY] > 0);
	stage.drain(200'000);
	CHECK(stage.seen == id);
}

TEST_CASE("defect 4: a full burst breaks the list of the flows behind it")
{
	Stage stage([](reframer_params &p) { p.max_burst = 4; });
	stage.push({{1, ack(1)}, {2, ack(2)}, {3, ack(3)}}, 0);
	stage.push({{4, ack(3)}, {5, ack(3)}, {6, ack(3)}}, 10);
	CHECK(stage.poll(10) == std::vector<uint64_t>{3, 4, 5, 6}); // at four, not at five
	stage.push({{7, ack(1)}}, 20);
	CHECK(stage.poll(64'000) == std::vector<uint64_t>{1, 7, 2});
	CHECK(stage.stats().released[REFRAMER_BY_BURST] == 1);
}

TEST_CASE("defect 5: equal sequence numbers come out of the sort reversed")
{
	Stage stage([](reframer_params &p) { p.options = REFRAMER_OPT_TCP_REPAIR; });
	stage.push({{1, data(1, 2000, 100)},
	            {2, data(1, 1000, 100)},
	            {3, data(1, 1000, 100)},
	            {4, pure_ack(1, 5)},
	            {5, pure_ack(1, 5)},
	            {6, data(1, 1500, 100)}},
	           0);
	CHECK(stage.poll(64'000) == std::vector<uint64_t>{2, 3, 6, 4, 5, 1});
	CHECK(stage.stats().repaired > 0);
}

TEST_CASE("defect 6: asking for reordering alone does nothing")
{
	Stage stage([](reframer_params &p) { p.options = REFRAMER_OPT_TCP_REPAIR; });
	stage.push({{1, data(1, 300, 100)}, {2, data(1, 200, 100)}, {3, data(1, 100, 100)}}, 0);
	CHECK(stage.poll(64'000) == std::vector<uint64_t>{3, 2, 1});
	CHECK(stage.stats().packets_thinned == 0);
}

TEST_CASE("defect 7: names of the release order say the opposite")
{
	// One order, and it is the documented one: due first, first out.
	Stage stage({});
	stage.push({{1, ack(5)}}, 0);
	stage.push({{2, ack(1)}, {3, ack(1)}, {4, ack(1)}}, 10);
	stage.push({{5, ack(9)}}, 20);
	CHECK(stage.poll(1'000'000) == std::vector<uint64_t>{1, 2, 3, 4, 5});
}

TEST_CASE("defect 9: a full table drops new flows, unknown protocols are dropped")
{
	Stage stage([](reframer_params &p) { p.max_packets = 32; });
	std::vector<uint64_t> out;
	for (uint64_t i = 0; i < 100'000; i += 20) {
		std::vector<Packet> burst;
		for (uint64_t k = i; k < i + 20; k++)
			burst.push_back({k + 1, k % 10 ? ack(static_cast<uint32_t>(k)) : unknown()});
		stage.push(burst, i);
		const auto some = stage.poll(i);
		out.insert(out.end(), some.begin(), some.end());
	}
	const auto rest = stage.drain(100'000);
	out.insert(out.end(), rest.begin(), rest.end());
	CHECK(out.size() == 100'000);
	CHECK(stage.stats().unparsed == 10'000);
	std::vector<uint64_t> unparsed;
	for (const uint64_t id : out)
		if ((id - 1) % 10 == 0)
			unparsed.push_back(id);
	CHECK(std::is_sorted(unparsed.begin(), unparsed.end()));
}

TEST_CASE("defect 10: a group is cut where 32 packets end")
{
	Stage stage({});
	std::vector<Packet> burst;
	for (uint64_t i = 1; i <= 100; i++)
		burst.push_back({i, ack(1)});
	stage.push(burst, 0);
	CHECK(stage.poll(64'000).size() == 100);
	REQUIRE(stage.last_runs.size() == 1);
	CHECK(stage.last_runs[0].count == 100);
}

TEST_CASE("defect 11: the count of failures drifts, and a flow that once did not gain never will")
{
	// There is no such count: a flow is held the same after any number of groups of one packet.
	Stage stage({});
	uint64_t now = 0;
	for (uint64_t i = 1; i <= 10'000; i++, now += 100'000) {
		stage.push({{i, ack(1)}}, now);
		REQUIRE(stage.poll(now + 64'000) == std::vector<uint64_t>{i});
	}
	stage.push({{20'001, ack(1)}, {20'002, ack(2)}}, now);
	stage.push({{20'003, ack(1)}}, now + 10);
	CHECK(stage.poll(now + 64'000) == std::vector<uint64_t>{20'001, 20'003, 20'002});
}

TEST_CASE("defect 12: ACKs with SACK or timestamps are merged, and data packets rewritten")
{
	Stage stage([](reframer_params &p) { p.options = REFRAMER_OPT_ACK_THINNING; });
	const Bytes sack = {1, 1, 5, 10, 0, 0, 0, 9, 0, 0, 1, 0};
	const std::vector<Packet> burst = {{1, pure_ack(1, 100)},
	                                   {2, pure_ack(1, 200)},
	                                   {3, pure_ack(1, 300)},
	                                   {4, pure_ack(1, 300)}, // duplicate: a sign of loss
	                                   {5, pure_ack(1, 400, sack)},
	                                   {6, data(1, 7000, 10)},
	                                   {7, pure_ack(1, 500, timestamp(1, 1))},
	                                   {8, pure_ack(1, 600, timestamp(2, 1))},
	                                   {9, pure_ack(1, 700, timestamp(2, 1))},
	                                   {10, pure_ack(1, 800, timestamp(2, 1))},
	                                   {11, pure_ack(1, 900, {}, 0x50)},
	                                   {12, pure_ack(1, 1000)}};
	const std::vector<Packet> before = burst;
	stage.push(burst, 0);
	// 2 is covered by 3; 8 and 9 by 10, with the same timestamps.
	CHECK(stage.poll(64'000) == std::vector<uint64_t>{1, 3, 4, 5, 6, 7, 10, 11, 12});
	CHECK(stage.take_thinned() == std::vector<uint64_t>{2, 8, 9});
	CHECK(stage.stats().packets_thinned == 3);
	for (size_t i = 0; i < burst.size(); i++)
		CHECK(stage.frame(burst[i].id) == before[i].frame);
}

TEST_CASE("ACK thinning leaves probes alone: they are sent for an answer")
{
	const auto numbered = [](uint32_t sequence, uint32_t acknowledgment) {
		Tcp header;
		header.sequence = sequence;
		header.acknowledgment = acknowledgment;
		return tcp_frame(1, header);
	};
	Stage stage([](reframer_params &p) { p.options = REFRAMER_OPT_ACK_THINNING; });
	// 3 is a probe: a keep-alive that acknowledges what has just come. Nor does it cover 2, as the
	// acknowledgement of a probe is not looked at.
	stage.push({{1, numbered(5000, 100)},
	            {2, numbered(5000, 200)},
	            {3, numbered(4999, 300)},
	            {4, numbered(5000, 400)},
	            {5, numbered(5000, 500)},
	            {6, numbered(5000, 600)}},
	           0);
	CHECK(stage.poll(64'000) == std::vector<uint64_t>{1, 2, 3, 4, 6});
	CHECK(stage.take_thinned() == std::vector<uint64_t>{5});
}
