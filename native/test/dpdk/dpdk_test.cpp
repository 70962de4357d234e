// libreframer_dpdk on DPDK's virtual ports: no NIC, no hugepages. EAL comes up once a process.
#include "eal.hpp"
#include "reframer/dpdk.h"
#include "reframer/rsspp.h"
#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <thread>

namespace {

using namespace reframer::test;

struct Dispatch {
	Dispatch(uint32_t entries, uint32_t workers, uint32_t ring)
	{
		eal();
		rsspp_dpdk_dispatch_params p;
		rsspp_dpdk_dispatch_default_params(&p);
		p.nb_entries = entries;
		p.nb_workers = workers;
		p.ring_size = ring;
		REQUIRE(rsspp_dpdk_dispatch_create(&p, &d) == 0);
	}
	~Dispatch() { rsspp_dpdk_dispatch_free(d); }
	rsspp_dpdk_dispatch *d = nullptr;
};

} // namespace

TEST_CASE("the RETA of a port is probed, written by changed groups, read back and put back")
{
	rsspp_dpdk_table *table = nullptr;
	REQUIRE(rsspp_dpdk_reta_open(eal().null_port, nb_queues, &table) == 0);
	const uint32_t size = rsspp_dpdk_table_size(table);
	CHECK(size == 128);
	std::vector<uint16_t> first(size), now(size);
	REQUIRE(rsspp_dpdk_table_read(table, first.data()) == 0);

	std::vector<uint16_t> wanted(size);
	for (uint32_t i = 0; i < size; i++)
		wanted[i] = uint16_t(i % nb_queues);
	uint32_t refused = 99;
	CHECK(rsspp_dpdk_table_write(table, wanted.data(), &refused) == 0);
	CHECK(refused == 0);
	wanted[100] = 3; // one group of the two
	CHECK(rsspp_dpdk_table_write(table, wanted.data(), &refused) == 0);
	REQUIRE(rsspp_dpdk_table_read(table, now.data()) == 0);
	CHECK(now == wanted);

	std::vector<uint16_t> beyond = wanted;
	beyond[5] = nb_queues;
	CHECK(rsspp_dpdk_table_write(table, beyond.data(), &refused) == -EINVAL);
	REQUIRE(rsspp_dpdk_table_read(table, now.data()) == 0);
	CHECK(now == wanted);

	CHECK(rsspp_dpdk_table_restore(table) == 0);
	REQUIRE(rsspp_dpdk_table_read(table, now.data()) == 0);
	CHECK(now == first);
	rsspp_dpdk_table_close(table);
}

TEST_CASE("a queue that the port has not is the driver's to refuse, and the table stays")
{
	rsspp_dpdk_table *table = nullptr;
	REQUIRE(rsspp_dpdk_reta_open(eal().null_port, 100, &table) == 0); // the caller is wrong
	std::vector<uint16_t> first(128), now(128);
	REQUIRE(rsspp_dpdk_table_read(table, first.data()) == 0);
	std::vector<uint16_t> wanted(128, 50);
	uint32_t refused = 0;
	CHECK(rsspp_dpdk_table_write(table, wanted.data(), &refused) == -EINVAL);
	CHECK(refused == 128);
	REQUIRE(rsspp_dpdk_table_read(table, now.data()) == 0);
	CHECK(now == first);
	rsspp_dpdk_table_close(table);
}

TEST_CASE("ports without a table are not supported, and ports that are not there do not exist")
{
	rsspp_dpdk_table *table = nullptr;
	CHECK(rsspp_dpdk_reta_open(eal().ring_port, 1, &table) == -ENOTSUP);
	CHECK(rsspp_dpdk_reta_open(77, 1, &table) == -ENODEV);
	CHECK(rsspp_dpdk_reta_open(eal().null_port, 0, &table) == -EINVAL);
	CHECK(rsspp_dpdk_flow_open(eal().null_port, 512, nb_queues, &table) == -ENOTSUP);
	CHECK(rsspp_dpdk_flow_open(eal().ring_port, 512, 1, &table) == -ENOTSUP);
	CHECK(rsspp_dpdk_flow_open(77, 512, 1, &table) == -ENODEV);
	CHECK(rsspp_dpdk_flow_open(eal().null_port, 100, nb_queues, &table) == -EINVAL);
	CHECK(table == nullptr);
}

TEST_CASE("a port configured without RSS shows its RETA and refuses to have it written")
{
	rsspp_dpdk_table *table = nullptr;
	REQUIRE(rsspp_dpdk_reta_open(eal().plain_port, 2, &table) == 0);
	std::vector<uint16_t> wanted(rsspp_dpdk_table_size(table));
	REQUIRE(rsspp_dpdk_table_read(table, wanted.data()) == 0);
	CHECK(rsspp_dpdk_table_write(table, wanted.data(), nullptr) == 0); // nothing to change
	wanted[0] ^= 1;
	uint32_t refused = 0;
	CHECK(rsspp_dpdk_table_write(table, wanted.data(), &refused) == -ENOTSUP);
	CHECK(refused == 1);
	rsspp_dpdk_table_close(table);
}

TEST_CASE("sizes that a software table cannot have")
{
	eal();
	for (const auto &[entries, workers, ring] : {std::tuple{32u, 2u, 256u},
	                                             {100u, 2u, 256u},
	                                             {8192u, 2u, 256u},
	                                             {128u, 0u, 256u},
	                                             {128u, 65u, 256u},
	                                             {128u, 2u, 300u}}) {
		rsspp_dpdk_dispatch_params p;
		rsspp_dpdk_dispatch_default_params(&p);
		p.nb_entries = entries;
		p.nb_workers = workers;
		p.ring_size = ring;
		rsspp_dpdk_dispatch *d = nullptr;
		CHECK(rsspp_dpdk_dispatch_create(&p, &d) == -EINVAL);
	}
	Dispatch dispatch(64, 2, 64);
	std::vector<uint16_t> table(64, 2);
	CHECK(rsspp_dpdk_dispatch_write(dispatch.d, table.data()) == -EINVAL);
	rsspp_dpdk_dispatch_read(dispatch.d, table.data());
	CHECK(table[5] == 1);
}

TEST_CASE("a full ring drops, counts, and gives the packets back to their pool")
{
	const uint32_t available = rte_mempool_avail_count(eal().pool);
	{
		Dispatch dispatch(64, 1, 64);
		const auto frame = frame_of(1);
		uint32_t reached = 0;
		for (int i = 0; i < 5; i++) {
			rte_mbuf *packets[burst];
			for (rte_mbuf *&p : packets)
				REQUIRE((p = packet_of(frame, {1, 1})) != nullptr);
			reached += rsspp_dpdk_dispatch_burst(dispatch.d, packets, burst);
		}
		CHECK(reached == 64);
		CHECK(rsspp_dpdk_dispatch_waiting(dispatch.d, 0) == 64);
		CHECK(rsspp_dpdk_dispatch_dropped(dispatch.d, 0) == 5 * burst - 64);
		std::vector<uint64_t> counters(64);
		rsspp_dpdk_dispatch_counters(dispatch.d, counters.data());
		CHECK(std::accumulate(counters.begin(), counters.end(), uint64_t{0}) == 5 * burst);
	}
	CHECK(rte_mempool_avail_count(eal().pool) == available);
}

// Ring port looped to itself -> dispatching core -> three workers with the real hand-over, while
// random entries are rewritten: nothing is lost, no flow is reordered.
TEST_CASE("packets through a port, the software table and the hand-over keep their order")
{
	const uint64_t seed = reframer::test::seed_for("dpdk dispatch", 20191210);
	constexpr uint32_t entries = 128, workers = 3;
	constexpr uint64_t nb_packets = 300'000, in_flight = 4000; // less than a ring holds: none drops
	Dispatch dispatch(entries, workers, 8192);
	const uint32_t available = rte_mempool_avail_count(eal().pool);
	rsspp_handover_params h;
	rsspp_handover_default_params(&h);
	h.nb_buckets = entries;
	h.nb_cores = workers;
	rsspp_handover *handover = nullptr;
	REQUIRE(rsspp_handover_create(&h, &handover) == 0);

	std::atomic<bool> stop{false};
	std::atomic<uint64_t> processed{0}, reordered{0}, by_worker[workers] = {};
	std::vector<uint32_t> last(nb_flows); // flow state: the owner's alone
	const auto work = [&](uint16_t id) {
		rte_mbuf *in[burst];
		uint32_t hashes[burst], nb_in = 0;
		void *out[4 * burst];
		uint32_t out_hashes[4 * burst];
		std::vector<uint16_t> leaving(entries);
		uint64_t received = 0;
		while (!stop.load(std::memory_order_acquire)) {
			const uint32_t n =
				rsspp_dpdk_dispatch_receive(dispatch.d, id, in + nb_in, burst - nb_in);
			for (uint32_t i = 0; i < n; i++)
				hashes[nb_in + i] = in[nb_in + i]->hash.rss;
			by_worker[id] += n;
			nb_in += n;
			uint32_t nb_out = 0;
			const uint32_t taken =
				rsspp_handover_admit(handover, id, reinterpret_cast<void **>(in), hashes, nb_in,
			                         out, out_hashes, 4 * burst, &nb_out);
			std::copy(in + taken, in + nb_in, in);
			std::copy(hashes + taken, hashes + nb_in, hashes);
			nb_in -= taken;
			received += taken;
			for (uint32_t i = 0; i < nb_out; i++) {
				rte_mbuf *packet = static_cast<rte_mbuf *>(out[i]);
				const Mark mark = mark_of(packet);
				if (mark.sequence != last[mark.flow] + 1)
					reordered++;
				last[mark.flow] = mark.sequence;
				rte_pktmbuf_free(packet);
			}
			if (rsspp_handover_poll(handover, id, received,
			                        rsspp_dpdk_dispatch_waiting(dispatch.d, id) + nb_in,
			                        leaving.data()) > 0)
				rsspp_handover_release(handover, id);
			processed += nb_out;
			if (n == 0 && nb_out == 0)
				std::this_thread::yield(); // there may be fewer CPUs than cores
		}
	};
	std::vector<std::thread> threads;
	for (uint16_t w = 0; w < workers; w++)
		threads.emplace_back(work, w);
	uint64_t dispatched = 0;
	threads.emplace_back([&] { // sends and dispatches: the ring port has one reader and one writer
		std::mt19937_64 rng(seed);
		std::vector<reframer::test::Bytes> frames;
		for (uint32_t f = 0; f < nb_flows; f++)
			frames.push_back(frame_of(f));
		std::vector<uint32_t> sequence(nb_flows);
		uint64_t sent = 0;
		while (dispatched < nb_packets) {
			rte_mbuf *packets[burst];
			if (sent < nb_packets && sent + burst <= processed + in_flight) {
				for (rte_mbuf *&p : packets) {
					const uint32_t flow = uint32_t(std::min(rng() % nb_flows, rng() % nb_flows));
					while ((p = packet_of(frames[flow], {flow, sequence[flow] + 1})) == nullptr)
						std::this_thread::yield();
					sequence[flow]++;
				}
				uint16_t done = 0;
				while (done < burst)
					done = uint16_t(done + rte_eth_tx_burst(eal().ring_port, 0, packets + done,
					                                        uint16_t(burst - done)));
				sent += burst;
			} else {
				std::this_thread::yield();
			}
			const uint16_t n = rte_eth_rx_burst(eal().ring_port, 0, packets, burst);
			rsspp_dpdk_dispatch_burst(dispatch.d, packets, n);
			dispatched += n;
		}
	});

	std::mt19937_64 rng(seed + 1);
	std::vector<uint16_t> table(entries);
	uint64_t moves = 0;
	while (processed < nb_packets) {
		rsspp_dpdk_dispatch_read(dispatch.d, table.data());
		for (int i = 0; i < 20; i++) {
			const uint32_t bucket = uint32_t(rng() % entries);
			const uint16_t to = uint16_t(rng() % workers);
			if (rsspp_handover_begin(handover, bucket, to) == 0) {
				table[bucket] = to;
				moves++;
			}
		}
		REQUIRE(rsspp_dpdk_dispatch_write(dispatch.d, table.data()) == 0);
		rsspp_handover_written(handover);
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
	while (rsspp_handover_in_progress(handover) > 0)
		std::this_thread::yield();
	stop = true;
	for (std::thread &t : threads)
		t.join();
	CHECK(dispatched == nb_packets);
	CHECK(processed == nb_packets);
	CHECK(reordered == 0);
	CHECK(moves > 20);
	std::vector<uint64_t> counters(entries);
	rsspp_dpdk_dispatch_counters(dispatch.d, counters.data());
	CHECK(std::accumulate(counters.begin(), counters.end(), uint64_t{0}) == nb_packets);
	for (uint32_t w = 0; w < workers; w++) {
		CHECK(by_worker[w] > 0);
		CHECK(rsspp_dpdk_dispatch_dropped(dispatch.d, w) == 0);
	}
	CHECK(rte_mempool_avail_count(eal().pool) == available);
	MESSAGE(moves, " moves");
	rsspp_handover_free(handover);
}
