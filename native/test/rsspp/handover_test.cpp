#include "handover_port.hpp"
#include "rsspp/handover.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

using namespace reframer::test;

TEST_CASE("random moves and interleavings: none lost, none reordered, none processed off its owner")
{
	const uint64_t seed = seed_of_run();
	for (uint64_t round = 0; round < 60; round++) {
		const uint32_t buckets = 64u << (round % 3), cores = 2 + uint32_t(round % 7);
		Port port(seed + round, buckets, cores, true, 65536);
		CAPTURE(round);
		port.run(6000, 12, 40);
	}
}

TEST_CASE("a port that cannot tell its queue length: two polls that found nothing prove it drained")
{
	for (uint64_t round = 0; round < 20; round++) {
		Port port(seed_of_run() + 1000 + round, 64, 4, false, 65536);
		port.run(3000, 2, 100);
	}
}

TEST_CASE("an idle queue releases its buckets without another packet")
{
	Handover handover(64, 2);
	REQUIRE(rsspp_handover_begin(handover.h, 0, 1) == 0);
	CHECK(rsspp_handover_begin(handover.h, 0, 1) == -EBUSY);
	CHECK(rsspp_handover_begin(handover.h, 2, 0) == -EINVAL); // already its own
	rsspp_handover_written(handover.h);
	uint16_t buckets[64];
	int polls = 0;
	while (rsspp_handover_poll(handover.h, 0, 0, 0, buckets) == 0)
		REQUIRE(++polls < 5);
	CHECK(buckets[0] == 0);
	CHECK(rsspp_handover_owner(handover.h, 0) == 0);
	rsspp_handover_release(handover.h, 0);
	CHECK(rsspp_handover_owner(handover.h, 0) == 1);
	CHECK(rsspp_handover_in_progress(handover.h) == 0);
}

TEST_CASE("a straggler is forwarded to the owner, also when the owner's ring is full")
{
	Handover handover(64, 3, 65536, 4);
	Packet packets[10];
	uint32_t nb_out = 0;
	void *out[64];
	uint32_t out_hashes[64];
	for (uint32_t i = 0; i < 10; i++) {
		packets[i] = {0, i};
		void *p = &packets[i];
		const uint32_t hash = 0; // bucket 0 is core 0's; it comes in at core 2
		CHECK(rsspp_handover_admit(handover.h, 2, &p, &hash, 1, out, out_hashes, 64, &nb_out) == 1);
		CHECK(nb_out == 0);
	}
	uint32_t sequence = 0;
	for (int i = 0; i < 10; i++) {
		rsspp_handover_admit(handover.h, 0, nullptr, nullptr, 0, out, out_hashes, 64, &nb_out);
		for (uint32_t k = 0; k < nb_out; k++)
			CHECK(static_cast<Packet *>(out[k])->sequence == sequence++);
		rsspp_handover_admit(handover.h, 2, nullptr, nullptr, 0, out, out_hashes, 64, &nb_out);
	}
	CHECK(sequence == 10);
	rsspp_handover_stats stats;
	rsspp_handover_get_stats(handover.h, 2, &stats);
	CHECK(stats.forwarded == 10);
	CHECK(stats.held > 0);
	CHECK(stats.held_now == 0);
}

TEST_CASE("a full hold leaves packets with the caller instead of losing them")
{
	Handover handover(64, 2, 4);
	REQUIRE(rsspp_handover_begin(handover.h, 0, 1) == 0);
	Packet packets[6];
	void *in[6];
	uint32_t hashes[6] = {}, out_hashes[8], nb_out;
	void *out[8];
	for (uint32_t i = 0; i < 6; i++) {
		packets[i] = {0, i};
		in[i] = &packets[i];
	}
	CHECK(rsspp_handover_admit(handover.h, 1, in, hashes, 6, out, out_hashes, 8, &nb_out) == 4);
	CHECK(nb_out == 0);
	rsspp_handover_written(handover.h);
	uint16_t buckets[64];
	while (rsspp_handover_poll(handover.h, 0, 0, 0, buckets) == 0) {
	}
	rsspp_handover_release(handover.h, 0);
	CHECK(rsspp_handover_admit(handover.h, 1, in + 4, hashes, 2, out, out_hashes, 8, &nb_out) == 2);
	REQUIRE(nb_out == 6);
	for (uint32_t i = 0; i < 6; i++)
		CHECK(out[i] == &packets[i]);
}

TEST_CASE("a bucket is not given on before what was held of it is out")
{
	Handover handover(64, 3);
	Packet packets[6];
	void *in[6], *out[8];
	uint32_t hashes[6] = {}, out_hashes[8], nb_out;
	uint16_t buckets[64];
	for (uint32_t i = 0; i < 6; i++) {
		packets[i] = {0, i};
		in[i] = &packets[i];
	}
	// Core 1 holds six packets of bucket 0, and gains it.
	REQUIRE(rsspp_handover_begin(handover.h, 0, 1) == 0);
	rsspp_handover_written(handover.h);
	CHECK(rsspp_handover_admit(handover.h, 1, in, hashes, 6, out, out_hashes, 8, &nb_out) == 6);
	REQUIRE(nb_out == 0);
	while (rsspp_handover_poll(handover.h, 0, 0, 0, buckets) == 0) {
	}
	rsspp_handover_release(handover.h, 0);
	// Its next move is in force at once; room for output comes two packets at a time.
	REQUIRE(rsspp_handover_begin(handover.h, 0, 2) == 0);
	rsspp_handover_written(handover.h);
	uint32_t sequence = 0;
	for (int poll = 0; poll < 3; poll++) {
		for (int again = 0; again < 3; again++)
			CHECK(rsspp_handover_poll(handover.h, 1, 6, 0, buckets) == 0);
		CHECK(rsspp_handover_owner(handover.h, 0) == 1);
		rsspp_handover_admit(handover.h, 1, nullptr, nullptr, 0, out, out_hashes, 2, &nb_out);
		REQUIRE(nb_out == 2);
		for (uint32_t i = 0; i < nb_out; i++)
			CHECK(static_cast<Packet *>(out[i])->sequence == sequence++);
	}
	CHECK(rsspp_handover_poll(handover.h, 1, 6, 0, buckets) == 1);
	rsspp_handover_release(handover.h, 1);
	CHECK(rsspp_handover_owner(handover.h, 0) == 2);
}

TEST_CASE("a dead core's role is played by another thread until its buckets have moved")
{
	Port port(seed_of_run(), 64, 4, true, 65536);
	for (int step = 0; step < 500; step++) {
		port.arrive();
		port.poll(uint16_t(port.rng() % 4));
	}
	for (int i = 0; i < 200; i++)
		port.arrive(); // some wait in core 3's queue, and core 3 stops here
	for (uint32_t b = 0; b < 64; b++) {
		if (port.table[b] == 3 &&
		    rsspp_handover_begin(port.handover.h, b, uint16_t(b / 4 % 3)) == 0)
			port.table[b] = uint16_t(b / 4 % 3);
	}
	rsspp_handover_written(port.handover.h);
	for (int step = 0; step < 5000 && !port.idle(); step++) {
		port.arrive();
		const uint16_t core = uint16_t(port.rng() % 3);
		port.poll(core);
		if (core == 0)
			port.poll(3); // thread 0 plays both
		if (step > 2000)
			while (!port.idle() && port.rng() % 50 != 0)
				port.poll(uint16_t(port.rng() % 4));
	}
	for (uint32_t b = 0; b < 64; b++)
		CHECK(rsspp_handover_owner(port.handover.h, b) != 3);
}

// Threads, a software dispatch stage, and flow state without any lock: with ThreadSanitizer this
// shows that ownership alone orders the accesses.
static void run_threads(bool absorbs)
{
	constexpr uint32_t buckets = 128, cores = 3, ring_size = 1024, total = 200000;
	Handover handover(buckets, cores);
	struct Ring {
		std::vector<Packet> slot = std::vector<Packet>(ring_size);
		std::atomic<uint32_t> tail{0}, head{0};
	};
	std::vector<Ring> rings(cores);
	std::vector<uint32_t> expected(
		nb_flows); // plain memory: owned by the owner of the flow's bucket
	std::atomic<uint64_t> processed{0};
	std::atomic<bool> wrong{false};
	// Packets keep their place until everything was processed: handles stay valid while held.
	std::vector<std::unique_ptr<Packet>> packets(total);

	std::vector<std::thread> threads;
	for (uint16_t core = 0; core < cores; core++) {
		threads.emplace_back([&, core] {
			Ring &ring = rings[core];
			uint64_t received = 0;
			void *out[256];
			uint32_t out_hashes[256], nb_out;
			uint16_t leaving[buckets];
			std::vector<void *> in;
			std::vector<uint32_t> hashes;
			const auto receive = [&] {
				if (in.empty()) {
					const uint32_t head = ring.head.load(std::memory_order_relaxed);
					const uint32_t tail = ring.tail.load(std::memory_order_acquire);
					for (uint32_t i = head; i != tail && in.size() < 32; i++) {
						const Packet &p = ring.slot[i % ring_size];
						in.push_back(packets[p.sequence].get());
						hashes.push_back(hash_of(p.flow));
					}
					ring.head.store(head + uint32_t(in.size()), std::memory_order_release);
				}
			};
			const auto took = [&](uint32_t taken) {
				in.erase(in.begin(), in.begin() + taken);
				hashes.erase(hashes.begin(), hashes.begin() + taken);
				received += taken;
			};
			const auto give_up = [&] {
				const uint32_t waiting = ring.tail.load(std::memory_order_acquire) -
				                         ring.head.load(std::memory_order_relaxed) +
				                         uint32_t(in.size());
				const bool told =
					rsspp_handover_poll(handover.h, core, received, waiting, leaving) > 0;
				if (told)
					rsspp_handover_release(handover.h, core);
				return told;
			};
			while (processed.load(std::memory_order_relaxed) < total && !wrong.load()) {
				while (absorbs && rsspp_handover_draining(handover.h, core)) {
					receive();
					const uint32_t nb = uint32_t(in.size());
					took(rsspp_handover_absorb(handover.h, core, in.data(), hashes.data(), nb));
					if (!give_up() && nb == 0)
						break;
				}
				receive();
				took(rsspp_handover_admit(handover.h, core, in.data(), hashes.data(),
				                          uint32_t(in.size()), out, out_hashes, 256, &nb_out));
				for (uint32_t i = 0; i < nb_out; i++) {
					const Packet *p = static_cast<Packet *>(out[i]);
					if (expected[p->flow]++ != p->sequence)
						wrong.store(true);
				}
				processed.fetch_add(nb_out, std::memory_order_relaxed);
				give_up();
				if (nb_out == 0)
					std::this_thread::yield();
			}
		});
	}
	std::mt19937_64 rng(seed_of_run());
	std::vector<uint16_t> table(buckets);
	for (uint32_t b = 0; b < buckets; b++)
		table[b] = uint16_t(b % cores);
	std::vector<uint32_t> sequence(nb_flows);
	uint64_t moves = 0;
	for (uint32_t i = 0; i < total && !wrong.load(); i++) {
		if (i % 500 == 0) {
			for (int k = 0; k < 4; k++) {
				const uint32_t b = uint32_t(rng() % buckets);
				const uint16_t to = uint16_t(rng() % cores);
				if (rsspp_handover_begin(handover.h, b, to) == 0) {
					table[b] = to;
					moves++;
				}
			}
			rsspp_handover_written(handover.h);
		}
		const uint32_t flow = uint32_t(rng() % nb_flows);
		packets[i] = std::make_unique<Packet>(Packet{flow, sequence[flow]++});
		Ring &ring = rings[table[hash_of(flow) % buckets]];
		const uint32_t tail = ring.tail.load(std::memory_order_relaxed);
		while (tail - ring.head.load(std::memory_order_acquire) == ring_size && !wrong.load())
			std::this_thread::yield();
		ring.slot[tail % ring_size] = {flow, i};
		ring.tail.store(tail + 1, std::memory_order_release);
	}
	for (std::thread &t : threads)
		t.join();
	CHECK(!wrong.load());
	CHECK(processed.load() == total);
	CHECK(moves > 500);
}

TEST_CASE("threads: flow state moves with its bucket, without locks and in order")
{
	run_threads(false);
}

TEST_CASE("threads: the same when losing cores pass their queues through first")
{
	run_threads(true);
}
