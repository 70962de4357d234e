// TCP repair and timestamps: no segment before one that is older (PAWS, RFC 7323 section 5).
#include "reframer/slots/tcp_repair.hpp"
#include "stage_fixture.hpp"
#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace reframer::test;
using reframer::stage::RepairGap;
using reframer::stage::RepairItem;
using reframer::stage::Slot;

namespace {

Bytes stamped(uint32_t sequence, uint32_t stamp, size_t bytes = 100)
{
	Tcp header;
	header.sequence = sequence;
	header.options = timestamp(stamp, 1);
	header.payload = Bytes(bytes, 'd');
	return tcp_frame(1, header);
}

std::vector<uint64_t> repaired(const std::vector<Packet> &packets)
{
	Stage stage([](reframer_params &p) { p.options = REFRAMER_OPT_TCP_REPAIR; });
	stage.push(packets, 0);
	return stage.poll(64'000);
}

using Ids = std::vector<uint64_t>;

struct Sent {
	uint32_t sequence, stamp;
	bool data, has_stamp;
};

bool newer(const Sent &a, const Sent &b)
{
	return a.has_stamp && b.has_stamp && static_cast<int32_t>(a.stamp - b.stamp) > 0;
}

// The ranks in order of release.
std::vector<uint32_t> repair(const std::vector<Sent> &sent)
{
	const auto n = static_cast<uint32_t>(sent.size());
	std::vector<Slot> slots(n), copies(n);
	std::vector<reframer::stage::Segment> segments(n);
	for (uint32_t i = 0; i < n; i++) {
		slots[i].packet = reinterpret_cast<void *>(uintptr_t{i});
		segments[i].flow = 1;
		segments[i].slot = segments[i].position = i;
		segments[i].sequence = sent[i].sequence;
		segments[i].timestamp = sent[i].has_stamp ? sent[i].stamp : 0;
		segments[i].tcp = true;
		segments[i].data = sent[i].data;
		segments[i].has_timestamp = sent[i].has_stamp;
	}
	std::vector<RepairItem> items(n);
	std::vector<RepairGap> gaps(n + 1);
	std::vector<uint32_t> ids(n);
	repair_tcp(slots.data(), segments, {copies.data(), items.data(), gaps.data(), ids.data()});
	std::vector<uint32_t> order;
	for (const Slot &slot : slots)
		order.push_back(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(slot.packet)));
	return order;
}

} // namespace

TEST_CASE("a retransmission with a newer timestamp stays behind older segments")
{
	CHECK(repaired({{1, stamped(1000, 100010)},
	                {2, stamped(1100, 100010)},
	                {3, stamped(1200, 100010)},
	                {4, stamped(1300, 100011)},
	                {5, stamped(1000, 100260)}}) == Ids{1, 2, 3, 4, 5});
	CHECK(repaired({{1, stamped(1100, 100010)}, {2, stamped(1000, 100260)}}) == Ids{1, 2});
	// Of equal age it moves.
	CHECK(repaired({{1, stamped(1100, 100010)}, {2, stamped(1000, 100010)}}) == Ids{2, 1});
	// As far as it may.
	CHECK(repaired({{1, stamped(1100, 10)},
	                {2, stamped(1300, 20)},
	                {3, stamped(1200, 20)},
	                {4, stamped(1000, 20)}}) == Ids{1, 4, 3, 2});
}

TEST_CASE("packets that the network exchanged are put right, timestamps and all")
{
	CHECK(repaired({{1, stamped(1200, 12)}, {2, stamped(1000, 10)}, {3, stamped(1100, 11)}}) ==
	      Ids{2, 3, 1});
	CHECK(repaired({{1, stamped(200, 2)}, {2, stamped(100, 0xffffffff)}}) == Ids{2, 1}); // it wraps
	CHECK(repaired({{1, data(1, 200, 5)}, {2, data(1, 100, 5)}}) == Ids{2, 1});
}

TEST_CASE("nor does a segment move across a pure ACK that is older or, on its way back, newer")
{
	CHECK(repaired({{1, stamped(1100, 20)},
	                {2, pure_ack(1, 7, timestamp(10, 1))},
	                {3, stamped(1000, 20)}}) == Ids{1, 2, 3});
	CHECK(repaired({{1, stamped(1100, 10)},
	                {2, pure_ack(1, 7, timestamp(20, 1))},
	                {3, stamped(1000, 10)}}) == Ids{1, 2, 3});
	CHECK(repaired({{1, stamped(1100, 10)},
	                {2, pure_ack(1, 7, timestamp(10, 1))},
	                {3, stamped(1000, 10)}}) == Ids{3, 2, 1});
}

TEST_CASE("whatever comes, no segment passes one with an older timestamp, and order only improves")
{
	std::mt19937_64 random(seed_for("repair", 7323));
	const auto pick = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
	uint64_t moved = 0;
	for (int round = 0; round < 20'000; round++) {
		const uint32_t base = static_cast<uint32_t>(random()),
					   clock = static_cast<uint32_t>(random());
		const bool all_stamped = pick(3) != 0;
		std::vector<Sent> sent;
		for (uint32_t i = 0, n = 2 + pick(pick(10) ? 12 : 300); i < n; i++)
			sent.push_back({base + 100 * pick(20), clock + i / (1 + pick(4)) - pick(3),
			                pick(5) != 0, all_stamped || pick(2) != 0});
		const std::vector<uint32_t> order = repair(sent);
		std::vector<uint32_t> sorted = order;
		std::sort(sorted.begin(), sorted.end());
		for (uint32_t i = 0; i < sorted.size(); i++)
			REQUIRE(sorted[i] == i);
		for (uint32_t a = 0; a < order.size(); a++)
			for (uint32_t b = a + 1; b < order.size(); b++) {
				const Sent &before = sent[order[a]], &after = sent[order[b]];
				if (order[a] < order[b])
					continue;
				moved++;
				REQUIRE((before.data || after.data));
				REQUIRE_FALSE(newer(before, after));
				if (before.data && after.data)
					REQUIRE(static_cast<int32_t>(before.sequence - after.sequence) < 0);
			}
		for (uint32_t i = 0; i < order.size(); i++)
			if (!sent[i].data)
				REQUIRE(order[i] == i);
	}
	CHECK(moved > 10'000);
}
