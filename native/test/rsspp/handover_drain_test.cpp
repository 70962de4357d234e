// The losing core empties its queue without service: what it sets aside, what it serves later, and that
// the gaining core sees it all in order.
#include "handover_port.hpp"
#include "rsspp/handover.hpp"

#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

using reframer::rsspp::PacketStore;
using namespace reframer::test;

namespace {

// Packets of some of core 0's buckets in turn: bucket 0, `apart`, 2 * apart, ...
struct InTurn {
	std::vector<Packet> packets;
	std::vector<void *> in;
	std::vector<uint32_t> hashes;
	InTurn(uint32_t count, uint32_t buckets, uint32_t apart) : packets(count)
	{
		for (uint32_t i = 0; i < count; i++) {
			packets[i] = {i % buckets, i};
			in.push_back(&packets[i]);
			hashes.push_back(i % buckets * apart);
		}
	}
};

// Bucket leaves core 0 for another one by a pass, with all that core 0 has just received or has inside.
void give_away(Handover &handover, uint16_t bucket, uint16_t to, const InTurn *burst,
               uint64_t received)
{
	uint16_t buckets[64];
	REQUIRE(rsspp_handover_begin(handover.h, bucket, to) == 0);
	rsspp_handover_written(handover.h);
	REQUIRE(rsspp_handover_draining(handover.h, 0) == 1);
	const uint32_t nb = burst ? uint32_t(burst->in.size()) : 0;
	CHECK(rsspp_handover_absorb(handover.h, 0, burst ? burst->in.data() : nullptr,
	                            burst ? burst->hashes.data() : nullptr, nb) == nb);
	REQUIRE(rsspp_handover_poll(handover.h, 0, received, 0, buckets) == 1);
	CHECK(buckets[0] == bucket);
	rsspp_handover_release(handover.h, 0);
}

void drive(Port &port)
{
	port.run(4000, 12, 30);
}

// Random moves, polls and passes; everything is checked in Port::poll().
void run_random(uint64_t seed, uint32_t buckets, uint32_t cores, uint32_t hold, uint32_t forward,
                bool knows_length)
{
	Port port(seed, buckets, cores, knows_length, hold, forward);
	port.absorbs = true;
	port.one_way = hold < 1024;
	drive(port);
	uint64_t handed = 0, taken = 0, inside = 0;
	for (uint16_t c = 0; c < cores; c++) {
		rsspp_handover_stats s;
		rsspp_handover_get_stats(port.handover.h, c, &s);
		handed += s.handed_over;
		taken += s.taken_over;
		inside += s.held_now;
		CHECK(rsspp_handover_backlog(port.handover.h, c) == 0);
	}
	CHECK(handed == taken);
	CHECK(inside == 0);
}

} // namespace

TEST_CASE("passes over the queue: none lost, none reordered, none processed off its owner")
{
	const uint64_t seed = seed_of_run();
	for (uint64_t round = 0; round < 40; round++) {
		CAPTURE(round);
		run_random(seed + round, 64u << (round % 3), 2 + uint32_t(round % 7), 65536, 1024, true);
	}
}

TEST_CASE(
	"the same with hardly any memory: packets stay with the caller, and everything still comes out")
{
	for (uint64_t round = 0; round < 40; round++) {
		CAPTURE(round);
		run_random(seed_of_run() + 500 + round, 64, 2 + uint32_t(round % 4),
		           1 + uint32_t(round % 24), 2u << (round % 4), true);
	}
}

TEST_CASE("the same on a port that cannot tell its queue length")
{
	for (uint64_t round = 0; round < 20; round++) {
		CAPTURE(round);
		run_random(seed_of_run() + 900 + round, 64, 4, 65536, 1024, false);
	}
}

TEST_CASE("announced moves: the same, and the announcement is heard")
{
	for (uint64_t round = 0; round < 30; round++) {
		CAPTURE(round);
		Port port(seed_of_run() + 1300 + round, 64, 2 + uint32_t(round % 5), round % 3 != 0, 65536);
		port.absorbs = true;
		port.patience = 1 + int(round % 4);
		port.takes_write = [&port, round] { return round % 5 != 0 || port.rng() % 2; };
		port.takes_back = true;
		drive(port);
		CHECK(port.begun_ready > port.begun_unready / 4);
		for (uint32_t f = 0; f < nb_flows; f++)
			REQUIRE(port.expected[f] == port.next_sequence[f]);
	}
}

TEST_CASE("an announced bucket's packets come out before the others', and then it is ready")
{
	Handover handover(64, 2);
	InTurn burst(100, 2, 2);
	auto &[packets, in, hashes] = burst;
	CHECK(rsspp_handover_preparing(handover.h, 0) == 0);
	REQUIRE(rsspp_handover_prepare(handover.h, 2) == 0);
	CHECK(rsspp_handover_prepare(handover.h, 2) == -EBUSY);
	CHECK(rsspp_handover_prepare(handover.h, 64) == -EINVAL);
	CHECK(rsspp_handover_preparing(handover.h, 1) == 0);
	CHECK(rsspp_handover_preparing(handover.h, 0) == 1);
	REQUIRE(rsspp_handover_absorb(handover.h, 0, in.data(), hashes.data(), 100) == 100);
	CHECK(rsspp_handover_backlog(handover.h, 0) == 100);
	uint16_t buckets[64];
	void *out[64];
	uint32_t out_hashes[64], nb_out;
	CHECK(rsspp_handover_poll(handover.h, 0, 100, 0, buckets) ==
	      0); // the queue is empty, fifty wait inside
	CHECK(rsspp_handover_prepared(handover.h, 2) == 0);
	rsspp_handover_admit(handover.h, 0, nullptr, nullptr, 0, out, out_hashes, 50, &nb_out);
	REQUIRE(nb_out == 50);
	for (uint32_t i = 0; i < 50; i++)
		CHECK(out[i] == &packets[2 * i + 1]);
	CHECK(rsspp_handover_poll(handover.h, 0, 100, 0, buckets) == 0);
	CHECK(rsspp_handover_prepared(handover.h, 2) == 1);
	CHECK(rsspp_handover_preparing(handover.h, 0) == 0);
	REQUIRE(rsspp_handover_begin(handover.h, 2, 1) == 0);
	CHECK(rsspp_handover_prepared(handover.h, 2) == 0);
	rsspp_handover_written(handover.h);
	CHECK(rsspp_handover_draining(handover.h, 0) == 1);
	CHECK(rsspp_handover_absorb(handover.h, 0, nullptr, nullptr, 0) == 0);
	REQUIRE(rsspp_handover_poll(handover.h, 0, 100, 0, buckets) ==
	        1); // with fifty of bucket 0 still inside
	rsspp_handover_release(handover.h, 0);
	CHECK(rsspp_handover_owner(handover.h, 2) == 1);
	for (uint32_t i = 0; i < 50; i++) // for whoever reads these: none of them is lost
		rsspp_handover_admit(handover.h, 0, nullptr, nullptr, 0, out, out_hashes, 1, &nb_out);
	CHECK(rsspp_handover_backlog(handover.h, 0) == 0);
}

TEST_CASE("an announced move that is taken back leaves its bucket in no better place than others")
{
	Handover handover(64, 2);
	InTurn burst(100, 2, 2);
	auto &[packets, in, hashes] = burst;
	REQUIRE(rsspp_handover_prepare(handover.h, 2) == 0);
	REQUIRE(rsspp_handover_preparing(handover.h, 0) == 1);
	REQUIRE(rsspp_handover_absorb(handover.h, 0, in.data(), hashes.data(), 100) == 100);
	REQUIRE(rsspp_handover_begin(handover.h, 2, 1) == 0);
	REQUIRE(rsspp_handover_cancel(handover.h, 2) == 0);
	CHECK(rsspp_handover_draining(handover.h, 0) == 0);
	CHECK(rsspp_handover_in_progress(handover.h) == 0);
	void *out[256];
	uint32_t out_hashes[256], nb_out;
	// What was sorted for the move comes first still.
	rsspp_handover_admit(handover.h, 0, nullptr, nullptr, 0, out, out_hashes, 50, &nb_out);
	REQUIRE(nb_out == 50);
	for (uint32_t i = 0; i < 50; i++)
		CHECK(out[i] == &packets[2 * i + 1]);
	CHECK(rsspp_handover_admit(handover.h, 0, in.data(), hashes.data(), 100, out, out_hashes, 0,
	                           &nb_out) == 100);
	rsspp_handover_admit(handover.h, 0, nullptr, nullptr, 0, out, out_hashes, 256, &nb_out);
	REQUIRE(nb_out == 150);
	for (uint32_t i = 0; i < 50; i++)
		CHECK(out[i] == &packets[2 * i]);
	for (uint32_t i = 0; i < 100; i++)
		CHECK(out[50 + i] == &packets[i]);
}

TEST_CASE(
	"a pass gives the bucket away before anything is served, and its packets come first there")
{
	Handover handover(64, 2);
	InTurn burst(100, 2, 2);
	auto &[packets, in, hashes] = burst;
	REQUIRE(rsspp_handover_begin(handover.h, 0, 1) == 0);
	CHECK(rsspp_handover_draining(handover.h, 0) == 0); // the table is not written yet
	rsspp_handover_written(handover.h);
	// One that came by the new table waits for them.
	Packet late = {0, 100};
	void *one = &late, *out[256];
	uint32_t hash = 0, out_hashes[256], nb_out;
	CHECK(rsspp_handover_admit(handover.h, 1, &one, &hash, 1, out, out_hashes, 256, &nb_out) == 1);
	CHECK(nb_out == 0);

	uint16_t buckets[64];
	uint64_t received = 0;
	uint32_t at = 0;
	while (rsspp_handover_draining(handover.h, 0)) {
		received += rsspp_handover_absorb(handover.h, 0, in.data() + at, hashes.data() + at, 25);
		at += 25;
		if (rsspp_handover_poll(handover.h, 0, received, int64_t(100 - at), buckets) == 0)
			continue;
		CHECK(at == 100);
		CHECK(buckets[0] == 0);
		rsspp_handover_release(handover.h, 0);
	}
	CHECK(rsspp_handover_owner(handover.h, 0) == 1);
	CHECK(rsspp_handover_backlog(handover.h, 0) == 50);

	// The gaining core: the 50 set aside, then its own, in order; and it is told of the bucket first.
	CHECK(rsspp_handover_admit(handover.h, 1, nullptr, nullptr, 0, out, out_hashes, 20, &nb_out) ==
	      0);
	CHECK(nb_out == 20);
	REQUIRE(rsspp_handover_gained(handover.h, 1, buckets) == 1);
	CHECK(buckets[0] == 0);
	for (uint32_t i = 0; i < 20; i++)
		CHECK(static_cast<Packet *>(out[i])->sequence == 2 * i);
	rsspp_handover_admit(handover.h, 1, nullptr, nullptr, 0, out, out_hashes, 256, &nb_out);
	REQUIRE(nb_out == 31);
	for (uint32_t i = 0; i < 31; i++)
		CHECK(static_cast<Packet *>(out[i])->sequence == 40 + 2 * i);
	CHECK(rsspp_handover_gained(handover.h, 1, buckets) == 0);

	// The losing core serves the rest, what comes meanwhile behind it.
	Packet next = {1, 101};
	one = &next;
	hash = 2;
	CHECK(rsspp_handover_admit(handover.h, 0, &one, &hash, 1, out, out_hashes, 40, &nb_out) == 1);
	CHECK(nb_out == 40);
	rsspp_handover_admit(handover.h, 0, nullptr, nullptr, 0, out, out_hashes, 40, &nb_out);
	REQUIRE(nb_out == 11);
	CHECK(static_cast<Packet *>(out[10])->sequence == 101);
}

TEST_CASE(
	"packets count when they come out to be processed: a core at work on its backlog does not look idle")
{
	Handover handover(64, 2);
	const InTurn burst(100, 2, 2);
	const auto counted = [&] {
		std::vector<uint64_t> counters(64);
		rsspp_handover_counters(handover.h, counters.data());
		return std::pair(counters[0], counters[2]);
	};
	REQUIRE(rsspp_handover_absorb(handover.h, 0, burst.in.data(), burst.hashes.data(), 100) == 100);
	CHECK(counted() == std::pair<uint64_t, uint64_t>(0, 0));
	void *out[40];
	uint32_t out_hashes[40], nb_out;
	for (uint64_t half : {20, 40, 50}) {
		rsspp_handover_admit(handover.h, 0, nullptr, nullptr, 0, out, out_hashes, 40, &nb_out);
		CHECK(counted() == std::pair(half, half));
	}
}

TEST_CASE("a backlog is sorted when another of its buckets leaves")
{
	Handover handover(64, 3);
	const InTurn burst(30, 3, 3);
	give_away(handover, 0, 1, &burst, 30);
	CHECK(rsspp_handover_backlog(handover.h, 0) == 20);
	give_away(handover, 3, 2, nullptr, 30);
	CHECK(rsspp_handover_backlog(handover.h, 0) == 10);
	void *out[64];
	uint32_t out_hashes[64], nb_out;
	for (uint16_t core = 0; core < 3; core++) {
		rsspp_handover_admit(handover.h, core, nullptr, nullptr, 0, out, out_hashes, 64, &nb_out);
		CHECK(nb_out == 10);
		const uint32_t first = core == 0 ? 2 : core - 1u;
		for (uint32_t i = 0; i < nb_out; i++)
			CHECK(static_cast<Packet *>(out[i])->sequence == first + 3 * i);
	}
}

TEST_CASE("a bucket that leaves without a pass waits until the backlog is served")
{
	Handover handover(64, 3);
	const InTurn burst(20, 2, 3);
	give_away(handover, 0, 1, &burst, 20);
	// Bucket 3 leaves next, and its core does not pass its queue through this time.
	REQUIRE(rsspp_handover_begin(handover.h, 3, 2) == 0);
	rsspp_handover_written(handover.h);
	void *out[64];
	uint32_t out_hashes[64], nb_out;
	uint16_t buckets[64];
	for (int poll = 0; poll < 2; poll++) {
		for (int again = 0; again < 3; again++)
			CHECK(rsspp_handover_poll(handover.h, 0, 20, 0, buckets) == 0);
		rsspp_handover_admit(handover.h, 0, nullptr, nullptr, 0, out, out_hashes, 5, &nb_out);
		CHECK(nb_out == 5);
	}
	REQUIRE(rsspp_handover_poll(handover.h, 0, 20, 0, buckets) == 1);
	CHECK(buckets[0] == 3);
	rsspp_handover_release(handover.h, 0);
	CHECK(rsspp_handover_owner(handover.h, 3) == 2);
}

TEST_CASE("lists over one arena: every slot comes back")
{
	PacketStore store(8);
	PacketStore::List a, b;
	int packets[8];
	for (uint32_t i = 0; i < 8; i++)
		REQUIRE(store.push(a, &packets[i], i));
	CHECK(store.full());
	CHECK(!store.push(b, &packets[0], 0));
	store.sort_out(a, [&](uint32_t hash) { return hash % 3 == 0 ? &b : nullptr; });
	CHECK(a.count == 5);
	CHECK(b.count == 3);
	CHECK(store.pop(a).hash == 1);
	store.push_front(a, &packets[1], 1);
	for (uint32_t expected : {1u, 2u, 4u, 5u, 7u})
		CHECK(store.pop(a).hash == expected);
	CHECK(store.size() == 3);
	store.clear(b);
	CHECK(store.size() == 0);
	for (uint32_t i = 0; i < 8; i++)
		REQUIRE(store.push(a, &packets[i], i));
	CHECK(store.full());
}
