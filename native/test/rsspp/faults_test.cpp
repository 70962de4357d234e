// Faults around the hand-over. Whatever happens: nothing lost, nothing twice, every packet processed by
// its bucket's owner (Port checks the last), every hold ends once the fault does.
#include "handover_port.hpp"

#include <cerrno>

using namespace reframer::test;

namespace {

void settle(Port &port)
{
	int rounds = 0;
	while (!port.idle() && ++rounds < 200'000)
		port.poll(uint16_t(port.rng() % port.cores));
	REQUIRE(port.idle());
	for (uint32_t f = 0; f < nb_flows; f++)
		REQUIRE(port.expected[f] == port.next_sequence[f]); // each packet once
}

void run(Port &port)
{
	for (int step = 0; step < 4000; step++) {
		for (uint64_t n = port.rng() % 8; n > 0; n--)
			port.arrive();
		if (step % 60 == 0)
			port.move_some();
		port.poll(uint16_t(port.rng() % 4));
	}
	settle(port);
}

} // namespace

// At 2 Mpps a stall of 50 ms is 100,000 packets; the port's queues have no limit, so this is more
// than any ring would let through.
TEST_CASE("a worker that stalls while buckets move to and from it")
{
	for (uint64_t round = 0; round < 8; round++) {
		Port port(seed_of_run() + 2000 + round, 64, 4, true, 65536);
		for (int step = 0; step < 4000; step++) {
			for (uint64_t n = port.rng() % 12; n > 0; n--)
				port.arrive();
			if (step % 50 == 0)
				port.move_some();
			const auto core = uint16_t(port.rng() % 4);
			const bool stalled = step > 500 && step < 3500 && core == round % 4;
			if (!stalled)
				port.poll(core);
		}
		settle(port);
	}
}

TEST_CASE("rings of two and a hold of one: what has no room waits, and all of it comes out")
{
	for (uint64_t round = 0; round < 8; round++) {
		Port port(seed_of_run() + 3000 + round, 16, 4, round % 2, 1, 2);
		for (int step = 0; step < 4000; step++) {
			if (step % 3 == 0)
				port.arrive();
			if (step % 100 == 0)
				port.move_some();
			port.poll(uint16_t(port.rng() % 4));
		}
		settle(port);
	}
}

// The owner gets what the device still sends to the former one by forwarding, in order; as long as such
// a bucket is not moved again: then what is on its way between two cores may be overtaken.
TEST_CASE("a table write that is refused, wholly or in part")
{
	for (uint64_t round = 0; round < 12; round++) {
		Port port(seed_of_run() + 4000 + round, 64, 4, true, 65536);
		port.takes_write = [&port, round] { return round % 3 != 0 && port.rng() % 3 != 0; };
		port.moves_misled = round % 2;
		port.in_order = !port.moves_misled;
		run(port);
	}
}

TEST_CASE("moves taken back where the table was not written: order holds, whatever moves next")
{
	for (uint64_t round = 0; round < 24; round++) {
		Port port(seed_of_run() + 6000 + round, 64, 4, round % 3 != 0, 65536);
		port.takes_write = [&port, round] { return round % 4 != 0 && port.rng() % 3 != 0; };
		port.takes_back = true;
		port.absorbs = round % 2;
		run(port);
		for (uint32_t b = 0; b < 64; b++)
			CHECK(rsspp_handover_owner(port.handover.h, b) == port.table[b]);
	}
}

TEST_CASE("a move is taken back only between its begin and the write")
{
	Handover handover(8, 2);
	CHECK(rsspp_handover_cancel(handover.h, 0) == -EINVAL);
	CHECK(rsspp_handover_cancel(handover.h, 8) == -EINVAL);
	REQUIRE(rsspp_handover_begin(handover.h, 0, 1) == 0);
	CHECK(rsspp_handover_cancel(handover.h, 0) == 0);
	CHECK(rsspp_handover_cancel(handover.h, 0) == -EINVAL);
	CHECK(rsspp_handover_begin(handover.h, 0, 1) == -EBUSY); // until the owner knows
	uint16_t buckets[8];
	CHECK(rsspp_handover_poll(handover.h, 0, 0, 0, buckets) == 0);
	CHECK(rsspp_handover_in_progress(handover.h) == 0);
	REQUIRE(rsspp_handover_begin(handover.h, 0, 1) == 0);
	rsspp_handover_written(handover.h);
	CHECK(rsspp_handover_cancel(handover.h, 0) == -EINVAL);
}

// The write is lost at first and comes into force by itself much later: no protocol without the
// device's help keeps order then, but nothing may be lost or processed by the wrong core.
TEST_CASE("a table write that comes into force late")
{
	for (uint64_t round = 0; round < 8; round++) {
		Port port(seed_of_run() + 5000 + round, 64, 4, true, 65536);
		port.in_order = false;
		std::vector<uint16_t> wanted = port.table;
		for (int step = 0; step < 4000; step++) {
			for (uint64_t n = port.rng() % 8; n > 0; n--)
				port.arrive();
			if (step % 60 == 0) {
				const std::vector<uint16_t> before = port.table;
				port.move_some();
				wanted = port.table;
				port.table = before;
			}
			if (step % 60 == 45)
				port.table = wanted;
			port.poll(uint16_t(port.rng() % 4));
		}
		settle(port);
	}
}

TEST_CASE("every bucket moves at once: the mailbox has room, a second move of one is refused")
{
	Handover handover(8, 2, 1, 2);
	int begun = 0;
	for (uint32_t b = 0; b < 8; b++) {
		const int result = rsspp_handover_begin(handover.h, b, uint16_t(1 - b % 2));
		CHECK(result == 0);
		begun += result == 0;
		CHECK(rsspp_handover_begin(handover.h, b, uint16_t(1 - b % 2)) == -EBUSY);
	}
	rsspp_handover_written(handover.h);
	uint16_t buckets[8];
	for (int i = 0; i < 10; i++)
		for (uint16_t core = 0; core < 2; core++)
			if (rsspp_handover_poll(handover.h, core, 0, 0, buckets) > 0)
				rsspp_handover_release(handover.h, core);
	CHECK(rsspp_handover_in_progress(handover.h) == 0);
	for (uint32_t b = 0; b < 8; b++)
		CHECK(rsspp_handover_owner(handover.h, b) == 1 - b % 2);
	CHECK(begun == 8);
}
