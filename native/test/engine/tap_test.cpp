// Real packets through the real kernel: a multi-queue TAP steered by our program and table, in a
// network namespace of this test's own.
#include "devices/tap_port.hpp"
#include "devices/tap_workers.hpp"
#include "devices/udp_sender.hpp"
#include "support/own_network.hpp"
#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <thread>

using namespace reframer::engine;
using reframer::test::in_own_network;

namespace {

bool wait_for(const std::function<bool()> &condition)
{
	for (int i = 0; i < 20'000; i++) {
		if (condition())
			return true;
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
	return false;
}

std::vector<uint16_t> all_on(uint32_t entries, uint16_t queue)
{
	return std::vector<uint16_t>(entries, queue);
}

std::vector<uint16_t> every_bucket(uint32_t entries)
{
	std::vector<uint16_t> buckets(entries);
	std::iota(buckets.begin(), buckets.end(), uint16_t{0});
	return buckets;
}

struct Run {
	Run(uint32_t queues, uint32_t entries, SenderParams traffic, bool in_order = true)
	{
		TapParams tap;
		tap.nb_queues = queues;
		tap.nb_entries = entries;
		port = std::make_unique<TapPort>(tap);
		WorkerParams work;
		work.nb_flows = traffic.nb_flows;
		work.in_order = in_order;
		workers = std::make_unique<TapWorkers>(*port, work);
		traffic.in_flight = 1000;
		sender = std::make_unique<UdpSender>(traffic, [this] { return workers->received(); });
	}
	~Run()
	{
		sender.reset(); // it asks the workers
	}
	void finish()
	{
		REQUIRE(wait_for([&] { return sender->done() && workers->received() == sender->sent(); }));
		totals = workers->stop();
		std::vector<uint64_t> buckets(port->table_size());
		std::vector<float> loads(port->nb_queues());
		REQUIRE(port->sample(buckets, loads) == 0);
		counted = std::accumulate(buckets.begin(), buckets.end(), uint64_t{0});
	}
	std::unique_ptr<TapPort> port;
	std::unique_ptr<TapWorkers> workers;
	std::unique_ptr<UdpSender> sender;
	WorkerTotals totals;
	uint64_t counted = 0;
};

} // namespace

TEST_CASE("every packet sent is counted once, read once, in the queue of its bucket")
{
	in_own_network("tap", [] {
		for (const uint32_t entries : {64u, 128u, 4096u}) {
			CAPTURE(entries);
			SenderParams traffic;
			traffic.nb_packets = 20'000;
			traffic.skew = 0.5;
			Run run(4, entries, traffic);
			run.finish();
			CHECK(run.totals.received == traffic.nb_packets);
			CHECK(run.totals.processed == traffic.nb_packets);
			CHECK(run.totals.foreign == 0);
			CHECK(run.totals.missing == 0);
			CHECK(run.totals.reordered == 0);
			CHECK(run.totals.forwarded == 0);
			CHECK(run.counted == traffic.nb_packets);
			CHECK(run.port->dropped() == 0);

			// By queue: what the table and the program's counters say.
			std::vector<uint64_t> buckets(entries), expected(4);
			std::vector<float> loads(4);
			std::vector<uint16_t> table(entries);
			REQUIRE(run.port->sample(buckets, loads) == 0);
			REQUIRE(run.port->read_table(table) == 0);
			for (uint32_t b = 0; b < entries; b++)
				expected[table[b]] += buckets[b];
			for (uint32_t q = 0; q < 4; q++) {
				CHECK(run.workers->received(q) == expected[q]);
				CHECK(expected[q] > 0);
			}
		}
	});
}

TEST_CASE("rewriting entries of a live table moves the packets")
{
	in_own_network("tap", [] {
		SenderParams traffic; // without end
		Run run(3, 128, traffic);
		const auto buckets = every_bucket(128);
		for (const uint16_t target : {2, 0, 1, 2}) {
			CAPTURE(target);
			const WriteOutcome outcome = write_verified(*run.workers, all_on(128, target), buckets);
			CHECK(outcome.error == 0);
			CHECK(outcome.refused.empty());
			// write_table() has waited for the kernel: what comes from here on is the new table's.
			// A move is over when its old queue is read to the end, however long its worker slept.
			REQUIRE(wait_for([&] { return run.workers->moves_in_progress() == 0; }));
			uint64_t others = 0, before[3];
			for (uint32_t q = 0; q < 3; q++)
				before[q] = run.workers->received(q);
			REQUIRE(
				wait_for([&] { return run.workers->received(target) > before[target] + 2000; }));
			for (uint32_t q = 0; q < 3; q++)
				others += q == target ? 0 : run.workers->received(q) - before[q];
			CHECK(others == 0);
		}
		run.sender->stop();
		run.finish();
		CHECK(run.totals.processed == run.sender->sent());
		CHECK(run.totals.missing == 0);
		CHECK(run.totals.reordered == 0);
	});
}

TEST_CASE("flows keep their order while their buckets move, and nothing is lost")
{
	const uint64_t seed = reframer::test::seed_for("tap hand-over", 20191209);
	in_own_network("tap", [&] {
		SenderParams traffic;
		traffic.nb_flows = 500;
		traffic.seed = seed;
		Run run(4, 256, traffic);
		std::mt19937_64 rng(seed);
		uint64_t moves = 0, writes = 0;
		constexpr uint64_t packets_between = 1000; // so that each table is used
		std::vector<uint16_t> table(256);
		for (; writes < 40; writes++) {
			const uint64_t before = run.workers->received();
			REQUIRE(run.workers->read_table(table) == 0);
			std::vector<uint16_t> changed;
			for (int i = 0; i < 64; i++) {
				const uint16_t bucket = uint16_t(rng() % 256), to = uint16_t(rng() % 4);
				if (table[bucket] == to)
					continue;
				table[bucket] = to;
				changed.push_back(bucket);
			}
			const WriteOutcome outcome = write_verified(*run.workers, table, changed);
			// A bucket whose last move is not over is refused, and says so.
			CHECK((outcome.error == 0 || outcome.error == -EBUSY));
			CHECK((outcome.error != 0 || outcome.refused.empty()));
			moves += changed.size() - outcome.refused.size();
			REQUIRE(wait_for([&] { return run.workers->received() >= before + packets_between; }));
		}
		run.sender->stop();
		run.finish();
		const uint64_t sent = run.sender->sent();
		CHECK(moves > 100);
		CHECK(sent >= 40 * packets_between);
		CHECK(run.totals.processed == sent);
		CHECK(run.totals.missing == 0);
		CHECK(run.totals.reordered == 0);
		CHECK(run.counted == sent);
		CHECK(run.port->dropped() == 0);
		MESSAGE(moves, " moves in ", writes, " writes; held ", run.totals.held, ", forwarded ",
		        run.totals.forwarded);
	});
}

TEST_CASE("frames of others are counted as such, and bad tables written to nobody")
{
	in_own_network("tap", [] {
		SenderParams traffic;
		traffic.nb_packets = 2000;
		traffic.packets_per_second = 400'000;
		WorkerParams work;
		work.nb_flows = traffic.nb_flows / 2; // the others are not its own
		work.in_order = false;
		TapPort port(TapParams{});
		TapWorkers workers(port, work);
		CHECK(workers.name() == "tap rss0");
		traffic.skew = 0;
		UdpSender sender(traffic, [&] { return workers.received(); });
		REQUIRE(wait_for([&] { return sender.done(); }));
		std::vector<uint16_t> table(128), wrong(64), one = {5}, beyond = {128};
		std::vector<uint64_t> packets(128);
		std::vector<float> loads(4), few(3);
		REQUIRE(wait_for([&] {
			REQUIRE(workers.sample(packets, loads) == 0);
			return std::accumulate(packets.begin(), packets.end(), uint64_t{0}) ==
			       traffic.nb_packets;
		}));
		CHECK(workers.sample(packets, few) == -EINVAL);
		REQUIRE(workers.read_table(table) == 0);
		table[5] = 3;
		CHECK(workers.write_table(table, one) == 0); // without a hand-over
		CHECK(workers.moves_in_progress() == 0);
		CHECK(workers.write_table(wrong, one) == -EINVAL);
		CHECK(workers.write_table(table, beyond) == -EINVAL);
		const WorkerTotals totals = workers.stop();
		CHECK(totals.received == totals.processed);
		CHECK(totals.received + totals.foreign == traffic.nb_packets);
		CHECK(totals.foreign > traffic.nb_packets / 4);

		TapWorkers ordered(port, WorkerParams{});
		CHECK(ordered.write_table(wrong, one) == -EINVAL);
		CHECK(ordered.write_table(table, beyond) == -EINVAL);
		table[5] = 4;
		CHECK(ordered.write_table(table, one) == -EINVAL);
		table[5] = 3;
		CHECK(ordered.write_table(table, one) == 0); // where it is already
	});
}

TEST_CASE("a TAP refuses what it has not")
{
	for (const uint32_t flows : {0u, 40'001u})
		CHECK_THROWS_AS(UdpSender({.nb_flows = flows}, [] { return uint64_t{0}; }), DeviceError);
	for (const std::string &name : {std::string(), std::string(16, 'x')}) {
		TapParams params;
		params.interface = name;
		CHECK_THROWS_AS(TapPort{params}, DeviceError);
	}
	for (const uint32_t entries : {0u, 32u, 100u, 8192u}) {
		TapParams params;
		params.nb_entries = entries;
		CHECK_THROWS_AS(TapPort{params}, DeviceError);
	}
	TapParams params;
	params.nb_queues = 65;
	CHECK_THROWS_AS(TapPort{params}, DeviceError);
	in_own_network("tap", [] {
		TapPort port(TapParams{});
		std::vector<uint16_t> table(128), few(64);
		REQUIRE(port.read_table(table) == 0);
		CHECK(port.read_table(few) == -EINVAL);
		const std::vector<uint16_t> first = table, one = {5}, beyond = {128};
		table[5] = 4; // queues are 0 to 3
		CHECK(port.write_table(table, one) == -EINVAL);
		CHECK(port.write_table(first, beyond) == -EINVAL);
		CHECK(port.write_table(few, one) == -EINVAL);
		std::vector<uint64_t> packets(128);
		std::vector<float> loads(3);
		CHECK(port.sample(packets, loads) == -EINVAL);
		REQUIRE(port.read_table(table) == 0);
		CHECK(table == first);
	});
}
